//! The Spanner emulator: found, started, asked over its REST API.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::Answer;

const GATEWAY: &str = "gateway_main";

/// Where the emulator's programs are: `SPANNER_EMULATOR`, or below the SDK that `gcloud` on the PATH belongs to.
pub fn folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("SPANNER_EMULATOR") {
        return Some(PathBuf::from(folder)).filter(|folder| folder.join(GATEWAY).is_file());
    }
    let path = std::env::var_os("PATH")?;
    let gcloud = std::env::split_paths(&path).map(|folder| folder.join("gcloud")).find(|file| file.is_file())?;
    let gcloud = std::fs::canonicalize(gcloud).ok()?;
    // The launcher on the PATH may be a script of its own: the usual places of the SDK are tried as well.
    let mut roots: Vec<PathBuf> = gcloud.ancestors().skip(1).take(3).map(Path::to_path_buf).collect();
    roots.extend(["/usr/lib/google-cloud-sdk", "/opt/google-cloud-sdk"].map(PathBuf::from));
    let folders = roots.into_iter().map(|root| root.join("bin/cloud_spanner_emulator"));
    folders.into_iter().find(|folder| folder.join(GATEWAY).is_file())
}

pub struct Reference {
    gateway: Child,
    port: u16,
    session: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Drop for Reference {
    fn drop(&mut self) {
        // The whole group: the gateway may be gone before it has ended the program behind it.
        let group = format!("-{}", self.gateway.id());
        let asked = Command::new("kill").args(["--", &group]).status().is_ok_and(|status| status.success());
        if !asked {
            let _ = self.gateway.kill();
        }
        let _ = self.gateway.wait();
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Reference {
    pub fn start(folder: &Path) -> std::io::Result<Reference> {
        let (grpc, port) = (free_port()?, free_port()?);
        let gateway = Command::new(folder.join(GATEWAY))
            .args(["--hostname", "127.0.0.1", "--grpc_port", &grpc.to_string(), "--http_port", &port.to_string()])
            .current_dir(folder)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut reference = Reference { gateway, port, session: String::new(), stream: None };
        let deadline = Instant::now() + Duration::from_secs(20);
        let instance = json!({"instanceId": "inst", "instance": {
            "config": "projects/p/instanceConfigs/emulator-config", "displayName": "inst", "nodeCount": 1}});
        loop {
            match reference.post("/v1/projects/p/instances", &instance) {
                Ok(_) => break,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::yield_now(),
            }
        }
        let statement = json!({"createStatement": "CREATE DATABASE dbase"});
        reference.post("/v1/projects/p/instances/inst/databases", &statement)?;
        let session = reference.post("/v1/projects/p/instances/inst/databases/dbase/sessions", &json!({}))?;
        reference.session = session["name"].as_str().unwrap_or_default().to_owned();
        Ok(reference)
    }

    pub fn answer(&mut self, sql: &str) -> std::io::Result<Answer> {
        let path = format!("/v1/{}:executeSql", self.session);
        let answer = self.post(&path, &json!({ "sql": sql }))?;
        if let Some(rows) = answer["rows"].as_array() {
            let value = rows.first().and_then(|row| row.as_array()?.first().cloned());
            return Ok(Answer::Value(value.unwrap_or_default()));
        }
        let message = answer["message"].as_str().unwrap_or_default().to_owned();
        const LACKS: [&str; 6] = [
            "Unsupported",
            "not supported",
            "Function not found",
            "Type not found",
            "No matching signature",
            "unimplemented",
        ];
        // 12 is UNIMPLEMENTED, 13 INTERNAL.
        let lacks =
            matches!(answer["code"].as_i64(), Some(12 | 13)) || LACKS.iter().any(|words| message.contains(words));
        Ok(if lacks { Answer::Unsupported(message) } else { Answer::Error(message) })
    }

    fn post(&mut self, path: &str, body: &Json) -> std::io::Result<Json> {
        let result = self.exchange(path, body);
        if result.is_err() {
            self.stream = None;
        }
        result
    }

    fn exchange(&mut self, path: &str, body: &Json) -> std::io::Result<Json> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(("127.0.0.1", self.port))?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(Duration::from_secs(60)))?;
                none.insert(BufReader::new(stream))
            }
        };
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.get_mut().write_all(format!("{head}{body}").as_bytes())?;
        let mut line = String::new();
        let (mut length, mut chunked) = (0, false);
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
        }
        let mut text = Vec::new();
        if chunked {
            loop {
                line.clear();
                stream.read_line(&mut line)?;
                let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
                let from = text.len();
                text.resize(from + size, 0);
                stream.read_exact(&mut text[from..])?;
                line.clear();
                stream.read_line(&mut line)?;
                if size == 0 {
                    break;
                }
            }
        } else {
            text.resize(length, 0);
            stream.read_exact(&mut text)?;
        }
        // An error may be followed by a second object that says that there was one.
        let mut objects = serde_json::Deserializer::from_slice(&text).into_iter::<Json>();
        Ok(objects.next().transpose()?.unwrap_or_default())
    }
}
