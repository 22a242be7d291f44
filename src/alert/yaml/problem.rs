//! One mistake in a file: where it is, what is wrong, and what was probably meant.

/// One mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct FileProblem {
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1; 0 where there is no certain place.
    pub line: u64,
    /// Column, from 1; 0 likewise.
    pub column: u64,
    /// Path of the key, e.g. `groups[0].rules[1].for`; empty for the whole file.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it, where that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl FileProblem {
    /// A mistake at a line and column.
    pub fn new(file: &str, (line, column): (u64, u64), key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, column, key: key.into(), message: message.into(), hint: None }
    }

    /// A file or directory that cannot be used as a whole.
    pub fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(&file.into(), (0, 0), "", message)
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl std::fmt::Display for FileProblem {
    /// `rules.yaml:7:9: groups[0].rules[1].detect: … (hint)`: a form that editors make a link of.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// All of them, a line each.
#[must_use]
pub fn lines(problems: &[FileProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
