//! The YAML files of a directory.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::FileProblem;

/// Longest file that is read: thousands of rules fit into it.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Most files of a directory that are read.
const FILES_MAX: usize = 500;

/// The files of a directory.
#[derive(Debug, Default)]
pub struct Files {
    /// Those that can be read, as (name, text), in the order of their names.
    pub texts: Vec<(String, String)>,
    /// Those that cannot: the mistakes of the others are told beside them.
    pub unreadable: Vec<FileProblem>,
}

/// Every `*.yaml` and `*.yml` file of a directory.
///
/// # Errors
/// The directory cannot be read, or holds too many.
pub fn read_directory(directory: &Path) -> Result<Files, Vec<FileProblem>> {
    let of_directory = |message: String| vec![FileProblem::of_file(directory.display().to_string(), message)];
    let entries = std::fs::read_dir(directory).map_err(|error| of_directory(error.to_string()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    paths.sort();
    if paths.len() > FILES_MAX {
        return Err(of_directory(format!("holds {} files: at most {FILES_MAX} are read", paths.len())));
    }
    let mut files = Files::default();
    for path in paths {
        let name = path.display().to_string();
        match read(&path) {
            Ok(text) => files.texts.push((name, text)),
            Err(problem) => files.unreadable.push(problem.named(name)),
        }
    }
    Ok(files)
}

/// The bytes of a file that a person wrote. A pipe would hold up whoever reads it, a device has no end: both are refused.
///
/// # Errors
/// Why it cannot be read, in words.
pub fn read_regular(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("is no regular file".to_owned());
    }
    let too_long = |length: u64| format!("is {length} bytes long: at most {FILE_BYTES_MAX} are read");
    if metadata.len() > FILE_BYTES_MAX {
        return Err(too_long(metadata.len()));
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if read as u64 > FILE_BYTES_MAX { Err(too_long(read as u64)) } else { Ok(bytes) }
}

/// Why a file cannot be read, and where it is wrong.
struct Unreadable {
    message: String,
    at: (u64, u64),
    hint: Option<&'static str>,
}

impl Unreadable {
    fn whole(message: impl Into<String>) -> Self {
        Self { message: message.into(), at: (0, 0), hint: None }
    }

    fn named(self, file: String) -> FileProblem {
        FileProblem { hint: self.hint.map(ToOwned::to_owned), ..FileProblem::new(&file, self.at, "", self.message) }
    }
}

fn read(path: &Path) -> Result<String, Unreadable> {
    let bytes = read_regular(path).map_err(Unreadable::whole)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        let column = good.iter().rev().take_while(|byte| **byte != b'\n').count() as u64 + 1;
        Unreadable {
            message: "is not UTF-8".to_owned(),
            at: (line, column),
            hint: Some("save the file as UTF-8; this byte belongs to another encoding"),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_pipe_or_a_device_among_the_files_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe.yaml");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", directory.path().join("zero.yaml")).unwrap();
        std::fs::write(directory.path().join("good.yml"), "groups: []").unwrap();
        let (sender, receiver) = sync_channel(1);
        let path = directory.path().to_owned();
        std::thread::spawn(move || sender.send(read_directory(&path)));
        let files = receiver.recv_timeout(Duration::from_secs(20)).expect("it waits for a writer").unwrap();
        let refused: Vec<String> = files.unreadable.iter().map(ToString::to_string).collect();
        assert!(refused.len() == 2 && refused.iter().all(|line| line.ends_with("is no regular file")), "{refused:?}");
        assert_eq!(files.texts.len(), 1);
    }

    #[test]
    fn a_file_that_is_too_long_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(FILE_BYTES_MAX).unwrap();
        assert_eq!(read_regular(file.path()).map(|bytes| bytes.len() as u64), Ok(FILE_BYTES_MAX));
        file.as_file().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(read_regular(file.path()).unwrap_err().contains("at most 1048576 are read"));
    }
}
