//! JUnit's XML, as CI systems read it: a test case a query, a failure a finding.

use std::fmt::Write as _;

use super::sentence;
use crate::guard::preflight::judge::{Judged, Report};
use crate::xml_text::escaped;

/// The report as JUnit XML.
#[must_use]
pub fn junit(report: &Report) -> String {
    let (tests, failures) = (report.queries.len(), report.failed());
    let folder = escaped(&report.folder.display().to_string());
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = writeln!(out, "<testsuites tests=\"{tests}\" failures=\"{failures}\">");
    let _ = writeln!(
        out,
        "  <testsuite name=\"floodmark guard preflight\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">"
    );
    for query in &report.queries {
        write_case(query, &folder, &mut out);
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn write_case(query: &Judged, folder: &str, out: &mut String) {
    let (name, file) = (escaped(&query.query), escaped(&query.path.display().to_string()));
    let _ = write!(out, "    <testcase classname=\"{folder}\" name=\"{name}\" file=\"{file}\"");
    if query.findings.is_empty() && query.notes.is_empty() {
        out.push_str("/>\n");
        return;
    }
    out.push_str(">\n");
    // One element: several failures of one case are not read by every CI.
    if let Some(first) = query.findings.first() {
        let sentences: Vec<String> = query.findings.iter().map(|finding| sentence(&query.query, finding)).collect();
        let message = escaped(&sentences[0]);
        let text = escaped(&sentences.join("\n"));
        let _ = writeln!(out, "      <failure type=\"{}\" message=\"{message}\">{text}</failure>", first.kind.code());
    }
    if !query.notes.is_empty() {
        let _ = writeln!(out, "      <system-out>{}</system-out>", escaped(&query.notes.join("\n")));
    }
    out.push_str("    </testcase>\n");
}
