//! The YAML files of a directory.

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
    let length = std::fs::metadata(path).map_err(|error| Unreadable::whole(error.to_string()))?.len();
    if length > FILE_BYTES_MAX {
        return Err(Unreadable::whole(format!("is {length} bytes long: at most {FILE_BYTES_MAX} are read")));
    }
    let bytes = std::fs::read(path).map_err(|error| Unreadable::whole(error.to_string()))?;
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
