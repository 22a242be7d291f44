//! What applications write into ClickHouse's `log_comment`, when they do: a JSON object that says who asks.

use serde::Deserialize;

use super::Text;

/// A query's comment. Whatever else it is, it is no error: then it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct LogComment {
    app: Option<String>,
    endpoint: Option<String>,
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

    /// Product feature or dashboard: the application and its endpoint.
    #[must_use]
    pub fn origin(&self) -> Option<Text> {
        match (present(self.app.as_deref()), present(self.endpoint.as_deref())) {
            (Some(app), Some(endpoint)) => Some(Text::from(format!("{app} {endpoint}"))),
            (app, endpoint) => app.or(endpoint),
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

    /// Request that it belongs to.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }
}

fn present(text: Option<&str>) -> Option<Text> {
    text.filter(|text| !text.is_empty() && *text != "-").map(Text::from)
}
