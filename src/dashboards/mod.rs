//! Grafana dashboards, made from one description and the named queries: what a panel asks is what everybody else asks.
//!
//! `dashboards/dashboards.toml` says which panels there are; title, unit and SQL of a column come from the registry.

mod grafana;
mod source;
mod sql;

pub use source::SourceError;

use source::Source;

/// A file of a dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DashboardFile {
    /// Name, with extension.
    pub name: String,
    /// Grafana's JSON.
    pub json: String,
}

/// Every dashboard.
///
/// # Errors
/// The description that is part of the binary names what does not exist: a test keeps it from that.
pub fn export() -> Result<Vec<DashboardFile>, SourceError> {
    let source = Source::read(include_str!("../../dashboards/dashboards.toml"))?;
    let files = source.dashboards.iter().map(|dashboard| {
        let mut json = serde_json::to_string_pretty(&grafana::dashboard(dashboard)?).map_err(SourceError::from_json)?;
        json.push('\n');
        Ok(DashboardFile { name: format!("{}.json", dashboard.name), json })
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_dashboards_are_those_of_the_description() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards");
        for DashboardFile { name, json } in export().unwrap() {
            let committed = std::fs::read_to_string(format!("{directory}/{name}")).unwrap_or_default();
            assert!(committed == json, "{name} is not up to date: floodmark dashboards export dashboards");
        }
        let json = std::fs::read_dir(directory)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "json"));
        assert_eq!(json.count(), export().unwrap().len(), "a dashboard without a description");
    }
}
