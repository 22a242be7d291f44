//! What `attribute` prints.

use std::io::{IsTerminal, Write};

use serde_json::{Map, Value, json};

use super::Args;
use super::load::Loaded;
use crate::cli::output::{OutputFormat, table};
use crate::incident::lattice::{Explanation, RootCause};

/// Said where no description stands out.
const NOTHING: &str = "nothing stands out from what deviates at other moments";

/// Prints to standard output.
pub(super) fn print(args: &Args, loaded: &Loaded, explanation: &Explanation) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    let format = args.output.unwrap_or(if stdout.is_terminal() { OutputFormat::Table } else { OutputFormat::Json });
    let text = match format {
        OutputFormat::Table => as_table(args, explanation),
        OutputFormat::Json => format!("{:#}", as_json(args, loaded, explanation)),
    };
    match writeln!(stdout, "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn as_json(args: &Args, loaded: &Loaded, explanation: &Explanation) -> Value {
    let listed = |stands_out| -> Vec<Value> {
        explanation.causes.iter().filter(|cause| cause.stands_out == stands_out).map(cause_as_json).collect()
    };
    let mut report = json!({
        "at": args.at,
        "measure": args.measure,
        "of": args.of,
        "compared_moments": loaded.compared,
        "actual": explanation.actual,
        "expected": explanation.expected,
        "causes": listed(true),
    });
    if args.all {
        report["others"] = listed(false).into();
    }
    report
}

fn cause_as_json(cause: &RootCause) -> Value {
    let dimensions: Map<String, Value> =
        cause.conditions.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    json!({
        "dimensions": dimensions,
        "share": cause.share,
        "confidence": cause.confidence,
        "actual": cause.actual,
        "expected": cause.expected,
        "evidence": cause.evidence,
    })
}

fn as_table(args: &Args, explanation: &Explanation) -> String {
    let of = args.of.as_ref().map(|of| format!(" of {of}")).unwrap_or_default();
    let at = args.at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
    let (measure, actual, expected) = (&args.measure, explanation.actual, explanation.expected);
    let mut text = format!("{measure}{of}{at}: {actual} against {expected} expected");
    for (stands_out, title) in [(true, "Because of"), (false, "Next, and not standing out")] {
        let causes: Vec<&RootCause> =
            explanation.causes.iter().filter(|cause| cause.stands_out == stands_out).collect();
        if !stands_out && (!args.all || causes.is_empty()) {
            continue;
        }
        if causes.is_empty() {
            text += &format!("\n{NOTHING}");
            continue;
        }
        let mut rows = table(["cause", "share", "confidence", "actual", "expected"]);
        for cause in &causes {
            let share = format!("{:.0} %", cause.share * 100.0);
            let confidence = json!(cause.confidence);
            let confidence = confidence.as_str().unwrap_or_default().to_owned();
            rows.add_row([named(cause), share, confidence, cause.actual.to_string(), cause.expected.to_string()]);
        }
        text += &format!("\n\n{title}:\n{}", rows.trim_fmt());
        for cause in causes {
            text += &format!("\n {}: {}", named(cause), cause.evidence);
        }
    }
    text
}

fn named(cause: &RootCause) -> String {
    if cause.conditions.is_empty() {
        return "everything alike".to_owned();
    }
    let pairs: Vec<String> = cause.conditions.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    pairs.join(", ")
}
