//! A credential: read from a file or the environment, never shown.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest secret file that is read, in bytes: a path that names something else must not choose our memory.
const SECRET_BYTES_MAX: u64 = 64 * 1_024;
/// Stands for a secret wherever it would be written.
const REDACTED: &str = "***";

/// A password or token. It is written as `***`, whatever writes it; [`Secret::expose`] is the one way to its text.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

/// A file that should hold a secret cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the secret in {path}: {source}")]
pub struct SecretFileError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

impl Secret {
    /// From its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// From a file; newlines at its end do not count.
    ///
    /// # Errors
    /// The file cannot be read, is not UTF-8 or is longer than a secret can be.
    pub fn from_file(path: &Path) -> Result<Self, SecretFileError> {
        read_bounded(path).map(Self).map_err(|source| SecretFileError { path: path.to_owned(), source })
    }

    /// The value given directly (that is, by an environment variable), else what `file` holds, else nothing.
    ///
    /// # Errors
    /// See [`Secret::from_file`].
    pub fn resolve(direct: Option<&Self>, file: Option<&Path>) -> Result<Option<Self>, SecretFileError> {
        match (direct, file) {
            (Some(secret), _) => Ok(Some(secret.clone())),
            (None, Some(path)) => Self::from_file(path).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The text itself: for the protocol that needs it, never for a message.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > SECRET_BYTES_MAX {
        return Err(std::io::Error::other("longer than 64 KiB: this is no secret"));
    }
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// Only text; the usual error about another type would quote the value.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer);
        text.map(Self).map_err(|_| serde::de::Error::custom("a secret must be text in quotes"))
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "writeOnly": true,
            "description": "a secret; better from a file or an environment variable than written here"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_written() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""***""#);
        assert_eq!(secret.expose(), "hunter2");
        let error = serde_json::from_str::<Secret>("12345").unwrap_err().to_string();
        assert!(!error.contains("12345"), "{error}");
    }

    #[test]
    fn the_environment_comes_before_the_file_and_newlines_at_the_end_do_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        std::fs::write(&path, "from the file \r\n\n").unwrap();
        let resolve = |direct: Option<&Secret>, path: Option<&Path>| Secret::resolve(direct, path).unwrap();
        let direct = Secret::new("direct");
        assert_eq!(resolve(Some(&direct), Some(&path)).unwrap().expose(), "direct");
        assert_eq!(resolve(None, Some(&path)).unwrap().expose(), "from the file ");
        assert_eq!(resolve(None, None), None);
        std::fs::write(&path, "x".repeat(70_000)).unwrap();
        assert!(Secret::from_file(&path).unwrap_err().to_string().contains("64 KiB"));
    }
}
