//! A folder of queries: one in each `.sql` file, the schema and the seed they are asked on, and their budgets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::budgets::{Budgets, QueryBudgets};
use super::statements::{default_value, parameters, statements, without_format};

/// Queries of one folder; more is a mistake in the path.
const QUERIES_MAX: usize = 1_000;
/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 16 * 1_024 * 1_024;
/// Files of a folder that are no queries.
const SCHEMA: &str = "schema.sql";
const SEED: &str = "seed.sql";
/// Database, where the budgets name none.
const DATABASE: &str = "preflight";

/// A folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file or the folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The budgets are no such file.
    #[error("{path}: {source}")]
    Budgets {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<toml::de::Error>,
    },
    /// A folder or file holds something that cannot be used.
    #[error("{path}: {what}")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What.
        what: String,
    },
}

/// A query of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Name of its file, without `.sql`.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Its text, without semicolon and `FORMAT`.
    pub sql: String,
    /// Values of its parameters: given in the budgets, else the default of their type.
    pub parameters: BTreeMap<String, String>,
}

/// A folder, read.
#[derive(Debug, Clone)]
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// Its queries, by name.
    pub queries: Vec<Query>,
    /// What is written beside them; empty where there is no file yet.
    pub budgets: Budgets,
    /// Where the budgets are.
    pub budgets_path: PathBuf,
    /// Statements of the schema by file, in order.
    pub schema: Vec<(PathBuf, String)>,
    /// Statements of the seed, likewise.
    pub seed: Vec<(PathBuf, String)>,
}

impl Folder {
    /// Reads a folder. The budgets are `budgets.toml` in it, unless a file is named.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn read(path: &Path, budgets_path: Option<&Path>) -> Result<Self, FolderError> {
        let default_path = path.join("budgets.toml");
        let budgets_path = budgets_path.unwrap_or(&default_path).to_owned();
        let budgets = if budgets_path.exists() {
            Budgets::parse(&read(&budgets_path)?)
                .map_err(|source| FolderError::Budgets { path: budgets_path.clone(), source: Box::new(source) })?
        } else {
            Budgets::default()
        };
        let mut queries = Vec::new();
        for file in sql_files(path)? {
            let is_query = !file.ends_with(SCHEMA) && !file.ends_with(SEED);
            if is_query {
                queries.push(query(&file, &budgets.queries)?);
            }
        }
        if queries.is_empty() || queries.len() > QUERIES_MAX {
            let what = format!("holds {} queries (files NAME.sql); 1 to {QUERIES_MAX} can be judged", queries.len());
            return Err(FolderError::Unusable { path: path.to_owned(), what });
        }
        let schema = seed_files(path, budgets.seed.schema.as_deref(), SCHEMA)?;
        let seed = seed_files(path, budgets.seed.data.as_deref(), SEED)?;
        Ok(Self { path: path.to_owned(), queries, budgets, budgets_path, schema, seed })
    }

    /// Database that schema, seed and queries are in, on an engine of our own.
    #[must_use]
    pub fn database(&self) -> &str {
        self.budgets.seed.database.as_deref().unwrap_or(DATABASE)
    }
}

fn query(path: &Path, known: &BTreeMap<String, QueryBudgets>) -> Result<Query, FolderError> {
    let unusable = |what: String| FolderError::Unusable { path: path.to_owned(), what };
    let text = read(path)?;
    let name = path.file_stem().and_then(|stem| stem.to_str()).ok_or_else(|| unusable("not a name".to_owned()))?;
    let found = statements(&text);
    let [_] = found.as_slice() else {
        return Err(unusable(format!("holds {} statements; a query's file holds one", found.len())));
    };
    let given = known.get(name).map(|query| &query.parameters);
    let mut values = BTreeMap::new();
    for (parameter, kind) in parameters(&text) {
        let value = given.and_then(|given| given.get(parameter).map(String::as_str)).or_else(|| default_value(kind));
        let value = value.ok_or_else(|| {
            unusable(format!("parameter {parameter} is a {kind}: give it a value in queries.{name}.parameters"))
        })?;
        values.insert(parameter.to_owned(), value.to_owned());
    }
    let unknown = given.and_then(|given| given.keys().find(|name| !values.contains_key(*name)));
    if let Some(unknown) = unknown {
        return Err(unusable(format!("has no parameter {unknown}, which its budgets give a value")));
    }
    Ok(Query { name: name.to_owned(), path: path.to_owned(), sql: without_format(&text), parameters: values })
}

/// Statements of a file or of a folder's files in order; of `default` in the queries' folder where nothing is said.
fn seed_files(folder: &Path, said: Option<&Path>, default: &str) -> Result<Vec<(PathBuf, String)>, FolderError> {
    let path = folder.join(said.unwrap_or(default.as_ref()));
    let files = match said {
        None if !path.exists() => Vec::new(),
        _ if path.is_dir() => sql_files(&path)?,
        _ => vec![path],
    };
    let mut found = Vec::new();
    for file in files {
        let text = read(&file)?;
        found.extend(statements(&text).into_iter().map(|statement| (file.clone(), statement.to_owned())));
    }
    Ok(found)
}

/// The folder's `.sql` files, by name.
fn sql_files(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let failed = |source| FolderError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String, FolderError> {
    let failed = |source| FolderError::Read { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        let what = format!("{bytes} bytes; at most {FILE_BYTES_MAX} are read");
        return Err(FolderError::Unusable { path: path.to_owned(), what });
    }
    std::fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    #[test]
    fn queries_have_values_for_their_parameters_and_seeds_are_no_queries() {
        let directory = folder(&[
            ("b.sql", "SELECT {limit:UInt32}, {topic:String} FORMAT JSON;"),
            ("a.sql", "SELECT 1"),
            ("schema.sql", "CREATE TABLE t (x UInt8) ENGINE = Memory;\nCREATE TABLE u (x UInt8) ENGINE = Memory"),
            ("seed.sql", "INSERT INTO t SELECT 1"),
            ("notes.md", "no query"),
            ("budgets.toml", "[queries.b.parameters]\ntopic = \"requests\""),
        ]);
        let read = Folder::read(directory.path(), None).unwrap();
        let names: Vec<&str> = read.queries.iter().map(|query| query.name.as_str()).collect();
        assert_eq!((names, read.schema.len(), read.seed.len()), (vec!["a", "b"], 2, 1));
        let expected = [("limit", "1"), ("topic", "requests")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(read.queries[1].parameters, BTreeMap::from(expected));
        assert_eq!(read.queries[1].sql, "SELECT {limit:UInt32}, {topic:String}");
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for (files, said) in [
            (vec![("readme.md", "")], "holds 0 queries"),
            (vec![("a.sql", "SELECT 1; SELECT 2")], "holds 2 statements"),
            (vec![("a.sql", "SELECT * FROM {t:Identifier}")], "parameter t is a Identifier"),
            (vec![("a.sql", "SELECT 1"), ("budgets.toml", "[queries.a.parameters]\nx = \"1\"")], "no parameter x"),
            (vec![("a.sql", "SELECT 1"), ("budgets.toml", "[query.a]")], "unknown field"),
            (vec![("a.sql", "SELECT 1"), ("budgets.toml", "[seed]\nschema = \"absent\"")], "cannot read"),
        ] {
            let directory = folder(&files);
            let error = Folder::read(directory.path(), None).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
