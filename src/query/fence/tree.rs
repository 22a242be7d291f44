//! The tree of `EXPLAIN AST`: a line a node, its depth in spaces, its kind, its name.

use super::functions::{is_in, may_be_a_table, may_be_called};
use super::{FenceError, Readable, Standing, is_plain};

/// Kinds of nodes that a question may be made of.
const KINDS: [&str; 29] = [
    "ArrayJoin",
    "Asterisk",
    "ColumnsExceptTransformer",
    "ColumnsListMatcher",
    "ColumnsRegexpMatcher",
    "ColumnsReplaceTransformer",
    "ColumnsReplaceTransformer::Replacement",
    "ColumnsTransformerList",
    "ExpressionList",
    "Function",
    "Identifier",
    "InterpolateElement",
    "Literal",
    "OrderByElement",
    "QualifiedAsterisk",
    "QualifiedColumnsListMatcher",
    "QualifiedColumnsRegexpMatcher",
    "SampleRatio",
    "SelectIntersectExceptQuery",
    "SelectQuery",
    "SelectWithUnionQuery",
    "Subquery",
    "TableExpression",
    "TableIdentifier",
    "TableJoin",
    "TablesInSelectQuery",
    "TablesInSelectQueryElement",
    "WindowDefinition",
    "WindowListElement",
];
/// The one whose name the parser does not print.
const WITH_ELEMENT: &str = "WithElement";

#[derive(Debug, Clone, Copy)]
struct Node<'a> {
    depth: usize,
    kind: &'a str,
    name: &'a str,
    /// What it is called from there on; empty where it has no other name.
    alias: &'a str,
}

impl<'a> Node<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let text = line.trim_start_matches(' ');
        let depth = line.len() - text.len();
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        let end = [" (alias ", " (children "].iter().filter_map(|mark| format!(" {rest}").find(mark)).min();
        // The search is over the rest with a space before it, where a node without a name has its mark.
        let name = end.map_or(rest, |end| &rest[..end.saturating_sub(1).min(rest.len())]);
        let alias =
            rest.split_once("(alias ").map_or("", |(_, alias)| alias.split(" (children ").next().unwrap_or(alias));
        let alias = alias.strip_suffix(')').unwrap_or(alias);
        (!kind.is_empty()).then_some(Self { depth, kind, name, alias })
    }
}

/// Refuses a tree with anything in it that is not on the lists. Gives names that are no tables of ours: whoever asks has to
/// see that there are no such tables, so that they are names of WITH.
///
/// # Errors
/// See [`FenceError`].
pub fn check_tree(lines: &[String], readable: Readable<'_>) -> Result<Vec<String>, FenceError> {
    let nodes: Vec<Node<'_>> = lines.iter().filter_map(|line| Node::of(line)).collect();
    let root = nodes.first().ok_or(FenceError::Unreadable)?;
    if root.kind != "SelectWithUnionQuery" || root.depth != 0 {
        return Err(FenceError::NotASelect);
    }
    // A format, a file or settings hang there too.
    if nodes.iter().filter(|node| node.depth == 1).count() != 1 {
        return Err(FenceError::Clause("the text says more than a question: a format, a file or settings"));
    }
    let mut bare = Vec::new();
    let mut named = |name: &str| {
        if let Standing::Bare = readable.standing(name)? {
            bare.push(name.to_owned());
        }
        Ok(())
    };
    for (at, node) in nodes.iter().enumerate() {
        if !KINDS.contains(&node.kind) && node.kind != WITH_ELEMENT {
            return Err(FenceError::Construct(node.kind.to_owned()));
        }
        match node.kind {
            "TableIdentifier" => {
                // Filters are found by a table's alias too.
                if readable.is_restricted && !node.alias.is_empty() && !is_plain(node.alias) {
                    return Err(FenceError::NotYours(format!("a table cannot be called {} here", node.alias)));
                }
                named(node.name)?;
            }
            "TableExpression" => check_table_function(nodes.get(at + 1))?,
            "Function" => {
                if !may_be_called(node.name) && !is_table_function(&nodes, at) {
                    return Err(FenceError::Function(node.name.to_owned()));
                }
                if is_in(node.name)
                    && let Some(right) = right_operand(&nodes[at..])
                    && right.kind == "Identifier"
                {
                    named(right.name)?;
                }
            }
            _ => {}
        }
    }
    bare.sort();
    bare.dedup();
    Ok(bare)
}

fn is_table_function(nodes: &[Node<'_>], at: usize) -> bool {
    at.checked_sub(1).is_some_and(|before| nodes[before].kind == "TableExpression")
}

/// `node` is what stands first in a FROM.
fn check_table_function(node: Option<&Node<'_>>) -> Result<(), FenceError> {
    match node {
        Some(node) if node.kind == "Function" && !may_be_a_table(node.name) => {
            Err(FenceError::TableFunction(node.name.to_owned()))
        }
        Some(node) if ["Function", "TableIdentifier", "Subquery"].contains(&node.kind) => Ok(()),
        _ => Err(FenceError::Unreadable),
    }
}

/// The second argument of the function that stands first.
fn right_operand<'a>(nodes: &[Node<'a>]) -> Option<Node<'a>> {
    let (function, rest) = nodes.split_first()?;
    let inner = rest.iter().take_while(|node| node.depth > function.depth);
    inner.filter(|node| node.depth == function.depth + 2).nth(1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const READABLE: Readable<'_> = Readable { database: "fm", is_restricted: true };

    /// A tree around `inner`, whose lines begin at the place of a list of expressions.
    fn check(inner: &str) -> Result<Vec<String>, FenceError> {
        let head = "SelectWithUnionQuery (children 1)\n ExpressionList (children 1)\n  SelectQuery (children 2)\n";
        let lines: Vec<String> = format!("{head}{inner}").lines().map(str::to_owned).collect();
        check_tree(&lines, READABLE)
    }

    fn table(name: &str) -> Result<Vec<String>, FenceError> {
        check(&format!("   TableExpression (children 1)\n    TableIdentifier {name} (alias x)\n"))
    }

    #[test]
    fn tables_of_ours_pass_and_others_do_not() {
        for name in ["requests", "fm.requests", "fm.query_runs", "system.one", "system.numbers"] {
            assert_eq!(table(name), Ok(Vec::new()), "{name}");
        }
        assert_eq!(table("x"), Ok(vec!["x".to_owned()]));
        for name in ["system.processes", "other.requests", "fm.view", "fm.requests.x", "a-b", "", "system.tables"] {
            assert!(matches!(table(name), Err(FenceError::Table(_))), "{name}");
        }
        assert!(matches!(table("incidents"), Err(FenceError::NotYours(_))));
        let open = Readable { is_restricted: false, ..READABLE };
        let lines = ["SelectWithUnionQuery", " TableExpression", "  TableIdentifier incidents"].map(str::to_owned);
        assert_eq!(check_tree(&lines, open), Ok(Vec::new()));
    }

    #[test]
    fn the_right_side_of_in_is_a_table_too() {
        let in_with = |right: &str| {
            check(&format!(
                "   Function in (alias y) (children 1)\n    ExpressionList (children 2)\n     Identifier a\n     {right}\n"
            ))
        };
        assert!(matches!(in_with("Identifier system.users"), Err(FenceError::Table(_))));
        assert!(matches!(in_with("Identifier incidents"), Err(FenceError::NotYours(_))));
        assert_eq!(in_with("Identifier requests"), Ok(Vec::new()));
        assert_eq!(in_with("Literal Tuple_(UInt64_1)"), Ok(Vec::new()));
    }

    #[test]
    fn functions_formats_and_unknown_constructs_are_refused() {
        assert!(matches!(check("   Function file (children 1)\n"), Err(FenceError::Function(_))));
        let function =
            |name: &str| check(&format!("   TableExpression (children 1)\n    Function {name} (children 1)\n"));
        assert_eq!(function("numbers"), Ok(Vec::new()));
        for name in ["merge", "remote", "url", "file", "cluster", "view", "viewExplain", "mergeTreeIndex", "s3"] {
            assert!(matches!(function(name), Err(FenceError::TableFunction(_))), "{name}");
        }
        assert!(matches!(check("   ColumnsApplyTransformer\n"), Err(FenceError::Construct(_))));
        assert!(matches!(check("   Set\n"), Err(FenceError::Construct(_))));
        assert!(matches!(check(" Identifier JSON\n"), Err(FenceError::Clause(_))));
        let lines = ["ShowTables".to_owned()];
        assert_eq!(check_tree(&lines, READABLE), Err(FenceError::NotASelect));
        assert_eq!(check_tree(&[], READABLE), Err(FenceError::Unreadable));
    }
}
