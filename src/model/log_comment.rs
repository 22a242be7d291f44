//! What applications write into ClickHouse's `log_comment`, when they do: a JSON object that says who asks.

use serde::Deserialize;

use super::Text;

/// A query's comment. Whatever else it is, it is no error: then it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct LogComment {
    app: Option<String>,
    service: Option<String>,
    endpoint: Option<String>,
    feature: Option<String>,
    flag: Option<String>,
    subscription: Option<String>,
    request_id: Option<String>,
    version: Option<String>,
}

impl LogComment {
    /// From the text of the setting.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Product feature or dashboard: the application (or service) and its endpoint (or feature).
    #[must_use]
    pub fn origin(&self) -> Option<Text> {
        let either = |a: &Option<String>, b: &Option<String>| present(a.as_deref()).or_else(|| present(b.as_deref()));
        match (either(&self.app, &self.service), either(&self.endpoint, &self.feature)) {
            (Some(program), Some(part)) => Some(Text::from(format!("{program} {part}"))),
            (program, part) => program.or(part),
        }
    }

    /// Whom it is for.
    #[must_use]
    pub fn subscription(&self) -> Option<Text> {
        present(self.subscription.as_deref())
    }

    /// Release of the application.
    #[must_use]
    pub fn version(&self) -> Option<Text> {
        present(self.version.as_deref())
    }

    /// Feature flag that switched it on.
    #[must_use]
    pub fn flag(&self) -> Option<&str> {
        self.flag.as_deref()
    }

    /// Request that it belongs to.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }
}

fn present(text: Option<&str>) -> Option<Text> {
    text.filter(|text| !text.is_empty() && *text != "-").map(Text::from)
}
