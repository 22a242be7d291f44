//! YAML files that people write: read so that every mistake in them is told at once, with its place and a hint.
//!
//! A derived deserializer stops at the first mistake. So a file is first read as a tree of whatever it holds, each node
//! with its place, and the tree is held against the JSON Schema of the type it should be. Only what has passed there is
//! given to the type itself. The schema is made from the types: no key is listed twice.

mod directory;
mod problem;
mod schema_check;
mod tree;

pub use directory::{Files, read_directory, read_regular};
pub use problem::{FileProblem, lines};
pub use schema_check::SchemaCheck;
pub use tree::{Node, Value};

/// Reads a text as a tree.
///
/// # Errors
/// What is not YAML, or has a key twice: the first such place, because nothing after it can be trusted.
pub fn parse(file: &str, text: &str) -> Result<Node, FileProblem> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| syntax_problem(file, text, &error))
}

fn syntax_problem(file: &str, text: &str, error: &serde_saphyr::Error) -> FileProblem {
    let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
    let message = error.to_string();
    // The place is said in front already.
    let message = message.split(" at line ").next().unwrap_or_default();
    if message.contains("multiple YAML documents") {
        let problem = FileProblem::new(file, (line, column), "", "holds more than one YAML document");
        return problem.hint("one file is one document: leave out the line `---` and put the lists together");
    }
    // What could be allowed in the code is nothing that a person can do about the file.
    let message = message.split(", set DuplicateKeyPolicy").next().unwrap_or_default();
    let problem = FileProblem::new(file, (line, column), "", format!("is not YAML: {message}"));
    if message.contains("a tab") || near_tab(text, line) {
        problem.hint("indent with spaces: YAML takes no tabs")
    } else {
        problem
    }
}

/// Whether a line, or the one before it, is indented by a tab.
fn near_tab(text: &str, line: u64) -> bool {
    let line = usize::try_from(line).unwrap_or(0);
    let indent = |line: &str| line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t');
    text.lines().skip(line.saturating_sub(2)).take(2).any(indent)
}
