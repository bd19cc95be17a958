//! `gs://` URIs: files in the folder that stands for Cloud Storage, where there is one.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::service::error::{ApiError, ApiResult};
use crate::texts;

/// How the name of a file begins that is not an object yet.
const PART: &str = ".scrimmage-part-";
static PARTS: AtomicU64 = AtomicU64::new(0);

/// The objects of one suite.
#[derive(Clone, Copy, Debug)]
pub struct Objects<'a> {
    folder: Option<&'a Path>,
}

impl<'a> Objects<'a> {
    pub fn of(context: &'a scrimmage_core::Context) -> Objects<'a> {
        Objects { folder: context.gcs.as_deref() }
    }

    /// Those of a folder.
    pub fn within(folder: Option<&'a Path>) -> Objects<'a> {
        Objects { folder }
    }

    /// The file of a URI, inside of the folder.
    fn file(&self, uri: &str) -> ApiResult<PathBuf> {
        let name = split(uri)?;
        let folder = self.folder.ok_or_else(|| ApiError::not_found(texts::no_gcs_folder(uri)))?;
        let name = Path::new(name);
        if !name.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(ApiError::invalid(texts::bad_uri(uri)));
        }
        Ok(folder.join(name))
    }

    /// The objects that URIs name, `*` standing for anything in their names, sorted; none is an error.
    pub fn read(&self, uris: &[String]) -> ApiResult<Vec<(String, Vec<u8>)>> {
        let mut read = Vec::new();
        for uri in uris {
            for (uri, file) in self.named(uri)? {
                let bytes = fs::read(&file).map_err(|_| ApiError::not_found(texts::uri_not_found(&uri)))?;
                read.push((uri, bytes));
            }
        }
        Ok(read)
    }

    fn named(&self, uri: &str) -> ApiResult<Vec<(String, PathBuf)>> {
        match uri.split_once('*') {
            Some((before, after)) => self.matching(uri, before, after),
            None => Ok(vec![(uri.to_owned(), self.file(uri)?)]),
        }
    }

    /// Whether there is an object of that name, or one that a `*` in it may stand for, readable or not.
    pub fn exists(&self, uri: &str) -> bool {
        self.named(uri).is_ok_and(|found| found.iter().any(|(_, file)| file.exists()))
    }

    fn matching(&self, uri: &str, before: &str, after: &str) -> ApiResult<Vec<(String, PathBuf)>> {
        if after.contains('*') {
            return Err(ApiError::invalid(texts::bad_uri(uri)));
        }
        let (folder_uri, _) = before.rsplit_once('/').unwrap_or((before, ""));
        // The bucket itself may not have a star.
        if folder_uri.len() < "gs://x".len() {
            return Err(ApiError::invalid(texts::bad_uri(uri)));
        }
        let mut found = Vec::new();
        let mut folders = vec![(folder_uri.to_owned(), self.file(folder_uri)?)];
        while let Some((name, folder)) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let Ok(own) = entry.file_name().into_string() else { continue };
                if own.starts_with(PART) {
                    continue;
                }
                let object = format!("{name}/{own}");
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push((object, entry.path())),
                    Ok(kind)
                        if kind.is_file()
                            && object.len() >= before.len() + after.len()
                            && object.starts_with(before)
                            && object.ends_with(after) =>
                    {
                        found.push((object, entry.path()));
                    }
                    _ => {}
                }
            }
        }
        found.sort();
        if found.is_empty() {
            return Err(ApiError::not_found(texts::uri_not_found(uri)));
        }
        Ok(found)
    }

    /// Writes an object, whole or not at all; its bucket is made where it is not there.
    pub fn write(&self, uri: &str, bytes: &[u8]) -> ApiResult<()> {
        let file = self.file(uri)?;
        let failed = |error: std::io::Error| ApiError::new(500, "backendError", format!("Cannot write {uri}: {error}"));
        let folder = file.parent().unwrap_or(&file);
        fs::create_dir_all(folder).map_err(failed)?;
        // Its name begins with what no `*` of ours looks for, and it is gone or renamed when this returns.
        let number = PARTS.fetch_add(1, Ordering::Relaxed);
        let part = folder.join(format!("{PART}{}-{number}", std::process::id()));
        let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, &file));
        written.inspect_err(|_| drop(fs::remove_file(&part))).map_err(failed)
    }

    /// Whether a URI may be written at all, before anything is.
    pub fn check(&self, uri: &str) -> ApiResult<()> {
        if uri.matches('*').count() > 1 {
            return Err(ApiError::invalid(texts::bad_uri(uri)));
        }
        self.file(&uri.replace('*', "0")).map(drop)
    }
}

/// `bucket/object` of `gs://bucket/object`.
fn split(uri: &str) -> ApiResult<&str> {
    let name = uri.strip_prefix("gs://").ok_or_else(|| ApiError::invalid(texts::not_a_gs_uri(uri)))?;
    match name.split_once('/') {
        Some((bucket, object)) if !bucket.is_empty() && !object.is_empty() => Ok(name),
        None if !name.is_empty() => Ok(name),
        _ => Err(ApiError::invalid(texts::bad_uri(uri))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_but_into_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let objects = Objects { folder: Some(folder.path()) };
        objects.write("gs://b/a/1.csv", b"1").expect("writes");
        objects.write("gs://b/a/2.csv", b"2").expect("writes");
        objects.write("gs://b/c.json", b"3").expect("writes");
        let read = |uri: &str| objects.read(&[uri.to_owned()]);
        let names = |uri: &str| read(uri).expect("found").into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("gs://b/*.csv"), ["gs://b/a/1.csv", "gs://b/a/2.csv"]);
        assert_eq!(names("gs://b/a/2*"), ["gs://b/a/2.csv"]);
        for bad in ["gs://b/../x", "gs://../b", "s3://b/x", "gs://b/*/*", "gs://*", "/etc/passwd", "gs://"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(read("gs://b/none").expect_err("nothing").code, 404);
        let none = Objects { folder: None }.read(&["gs://b/x".to_owned()]).expect_err("no folder");
        assert!(none.message.contains("--gcs-folder"), "{}", none.message);
    }
}
