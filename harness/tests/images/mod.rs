//! Container images for tests, put together from programs of this build.

#![allow(dead_code, reason = "each test file uses what it needs")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

pub fn docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).output().expect("there is an engine")
}

/// Names of containers, running or not.
pub fn containers(prefix: &str) -> String {
    let listed = docker(&["ps", "--all", "--filter", &format!("name={prefix}"), "--format", "{{.Names}}"]);
    String::from_utf8_lossy(&listed.stdout).into_owned()
}

/// Where systems keep the certificates of those whom they trust.
const CERTIFICATES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Whether one of these containers runs.
pub fn running(prefix: &str) -> bool {
    !docker(&["ps", "--filter", &format!("name={prefix}"), "--format", "{{.Names}}"]).stdout.is_empty()
}

/// An image of one program with the libraries that it is linked to, and nothing else.
pub struct Image {
    pub name: String,
}

impl Image {
    /// `None`, with the reason printed, where it cannot be put together.
    pub fn of(program: &Path, arguments: &[&str]) -> Option<Image> {
        let Some(libraries) = libraries(program) else {
            eprintln!("skipped: `ldd` does not tell what the program is linked to");
            return None;
        };
        let folder = TempDir::new().expect("a folder");
        // A client that could speak TLS wants to know whom to trust, also where it does not speak it.
        let certificates = CERTIFICATES.map(Path::new).into_iter().filter(|path| path.is_file());
        let as_they_lie = libraries.iter().map(PathBuf::as_path).chain(certificates).map(|path| (path, path));
        for (from, to) in as_they_lie.chain([(program, Path::new("/program"))]) {
            let copy = folder.path().join(to.strip_prefix("/").expect("absolute"));
            std::fs::create_dir_all(copy.parent().expect("a parent")).expect("a folder");
            std::fs::copy(from, copy).expect("a copy");
        }
        let entry: Vec<&str> = std::iter::once("/program").chain(arguments.iter().copied()).collect();
        let text = format!("FROM scratch\nCOPY . /\nENTRYPOINT {entry:?}\n");
        std::fs::write(folder.path().join("Dockerfile"), text).expect("written");
        let name = {
            static IMAGES: AtomicUsize = AtomicUsize::new(0);
            let number = IMAGES.fetch_add(1, Ordering::Relaxed);
            format!("scrimmage-test-{}-{number}", std::process::id())
        };
        let built = docker(&["build", "--quiet", "--tag", &name, &folder.path().to_string_lossy()]);
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Some(Image { name })
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        docker(&["image", "rm", "--force", &self.name]);
    }
}

/// The files that a program is linked to, the loader among them.
fn libraries(program: &Path) -> Option<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    Some(words.map(PathBuf::from).collect())
}
