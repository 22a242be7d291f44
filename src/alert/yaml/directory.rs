//! The YAML files of a directory.

use std::path::{Path, PathBuf};

use super::FileProblem;

/// Longest file that is read: thousands of rules fit into it.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Most files of a directory that are read.
const FILES_MAX: usize = 500;

/// Every `*.yaml` and `*.yml` file of a directory as (name, text), in the order of their names.
///
/// # Errors
/// Every file that cannot be read, or the directory.
pub fn read_directory(directory: &Path) -> Result<Vec<(String, String)>, Vec<FileProblem>> {
    let of_directory = |message: String| vec![FileProblem::of_file(directory.display().to_string(), message)];
    let entries = std::fs::read_dir(directory).map_err(|error| of_directory(error.to_string()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    paths.sort();
    if paths.len() > FILES_MAX {
        return Err(of_directory(format!("holds {} files: at most {FILES_MAX} are read", paths.len())));
    }
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        let name = path.display().to_string();
        match read(&path) {
            Ok(text) => files.push((name, text)),
            Err(message) => problems.push(FileProblem::of_file(name, message)),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

fn read(path: &Path) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > FILE_BYTES_MAX {
        return Err(format!("is {length} bytes long: at most {FILE_BYTES_MAX} are read"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}
