//! `[decode.fields]`: where each field of a request is found in a record, for the formats that are mappings.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

macro_rules! request_fields {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:ident),* $(,)?) => {
        /// A field of a request that a mapping fills, or reads to fill others.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum RequestField { $($(#[doc = $doc])+ $variant),* }

        impl RequestField {
            /// Every field.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// As the configuration and the contract name it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($name)),* }
            }
        }

        /// Where each field of a request is found. What is set replaces what the format would do for that field.
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct FieldsConfig {
            $($(#[doc = $doc])+ #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<FieldRule>,)*
        }

        impl FieldsConfig {
            /// The rule of a field, if one is set.
            #[must_use]
            pub fn get(&self, field: RequestField) -> Option<&FieldRule> {
                match field { $(RequestField::$variant => self.$name.as_ref()),* }
            }
        }
    };
}

request_fields! {
    /// When it ended, or as the gateway logs it.
    Timestamp = timestamp,
    /// Who is billed.
    Subscription = subscription,
    /// The client's address: the subscription of requests that name no other. Its port is cut off; of a list
    /// (`X-Forwarded-For`) the first counts.
    Address = address,
    /// Client program.
    Client = client,
    /// Version of the client program.
    ClientVersion = client_version,
    /// Where `client` and `client_version` are read when they have no field of their own: `kameleo-cli/4.0.0`.
    UserAgent = user_agent,
    /// Who answered.
    Service = service,
    /// Calling service; absent at the edge.
    Caller = caller,
    /// HTTP method.
    Method = method,
    /// Route template or operation name; a path loses its query, and its ids become `{id}`.
    Route = route,
    /// HTTP status.
    Status = status,
    /// Time to answer.
    DurationMs = duration_ms,
    /// When it began: with `ended_at` the duration of logs that have none.
    StartedAt = started_at,
    /// When it ended.
    EndedAt = ended_at,
    /// Body bytes received.
    RequestBytes = request_bytes,
    /// Body bytes sent.
    ResponseBytes = response_bytes,
    /// The client's try; 1 is the first. What retry headers say counts when this has no value.
    Attempt = attempt,
    /// The same for all tries of one logical request.
    RequestKey = request_key,
    /// Tries the proxy made at its upstreams: a number, or a list of addresses.
    UpstreamAttempts = upstream_attempts,
    /// Unique per try.
    RequestId = request_id,
    /// Where it was answered.
    Region = region,
    /// Which machine answered.
    Host = host,
}

/// Unit of a duration in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub enum TimeUnit {
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[default]
    #[serde(rename = "ms")]
    Milliseconds,
    /// Microseconds.
    #[serde(rename = "us")]
    Microseconds,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanoseconds,
}

/// Where one field is found. Written as a path, a list of paths, or a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "RuleForm")]
pub struct FieldRule {
    /// Paths in the record, the first that has a value counts: `request.uri`; `tries.#` is the length of a list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Unit of a duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<TimeUnit>,
    /// Added to a number: 1 for an attempt that is counted from 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub add: u32,
    /// The value when no path has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constant: Option<String>,
    /// Values that mean "absent", besides null, `""` and `"-"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes references.
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Most places to look for one field: a record is searched for each of them.
const PATHS_MAX: usize = 16;
/// Longest path, in bytes.
const PATH_BYTES_MAX: usize = 256;

impl FieldsConfig {
    /// What types cannot say: key and message of each problem.
    pub(super) fn problems(&self, format_is_mapping: bool) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for field in RequestField::ALL {
            if let Some(rule) = self.get(*field) {
                let key = format!("decode.fields.{}", field.name());
                problems.extend(rule.problem(*field).map(|message| (key, message)));
            }
        }
        if format_is_mapping {
            problems.extend(self.without_a_place().map(|name| {
                let message = "is required: the format `mapping` knows no place for it".to_owned();
                (format!("decode.fields.{name}"), message)
            }));
        }
        problems
    }

    /// Required fields of a request that nothing is said about.
    fn without_a_place(&self) -> impl Iterator<Item = &'static str> {
        let ends = self.started_at.is_some() && self.ended_at.is_some();
        let fields = [
            (RequestField::Timestamp, self.timestamp.is_some() || self.ended_at.is_some()),
            (RequestField::Subscription, self.subscription.is_some() || self.address.is_some()),
            (RequestField::Route, self.route.is_some()),
            (RequestField::Status, self.status.is_some()),
            (RequestField::DurationMs, self.duration_ms.is_some() || ends),
        ];
        fields.into_iter().filter(|(_, said)| !said).map(|(field, _)| field.name())
    }
}

impl FieldRule {
    fn problem(&self, field: RequestField) -> Option<String> {
        let counts = matches!(field, RequestField::Attempt | RequestField::UpstreamAttempts);
        let too_long = |path: &String| path.is_empty() || path.len() > PATH_BYTES_MAX;
        if self.paths.is_empty() && self.constant.is_none() {
            Some("must name a path or a constant".to_owned())
        } else if self.paths.len() > PATHS_MAX {
            Some(format!("must name at most {PATHS_MAX} paths"))
        } else if self.paths.iter().any(too_long) {
            Some(format!("paths must have 1 to {PATH_BYTES_MAX} bytes"))
        } else if self.unit.is_some() && field != RequestField::DurationMs {
            Some("`unit` is for `duration_ms` only: times are told apart by their size".to_owned())
        } else if self.add != 0 && !counts {
            Some("`add` is for `attempt` and `upstream_attempts` only".to_owned())
        } else {
            None
        }
    }
}

/// The ways to write a [`FieldRule`].
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a path, a list of paths, or a table of `paths`, `unit`, `add`, `constant` and `missing`"
)]
enum RuleForm {
    Path(String),
    Paths(Vec<String>),
    Table(RuleTable),
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RuleTable {
    paths: Vec<String>,
    unit: Option<TimeUnit>,
    add: u32,
    constant: Option<String>,
    missing: Vec<String>,
}

impl From<RuleForm> for FieldRule {
    fn from(form: RuleForm) -> Self {
        match form {
            RuleForm::Path(path) => Self { paths: vec![path], ..Self::default() },
            RuleForm::Paths(paths) => Self { paths, ..Self::default() },
            RuleForm::Table(RuleTable { paths, unit, add, constant, missing }) => {
                Self { paths, unit, add, constant, missing }
            }
        }
    }
}

impl schemars::JsonSchema for FieldRule {
    fn schema_name() -> Cow<'static, str> {
        "FieldRule".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let paths = || serde_json::json!({ "type": "array", "items": { "type": "string" } });
        schemars::json_schema!({
            "description": "A path in the record, a list of paths (the first that has a value counts), or a table.",
            "oneOf": [{ "type": "string" }, paths(), {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "paths": paths(),
                    "unit": { "enum": ["s", "ms", "us", "ns"] },
                    "add": { "type": "integer", "minimum": 0 },
                    "constant": { "type": "string" },
                    "missing": paths(),
                },
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_three_ways_to_be_written() {
        let text = "subscription = 'consumer.id'\nroute = ['a', 'b']\n\
                    duration_ms = { paths = ['took'], unit = 's', missing = ['-1'] }\nservice = { constant = 'shop' }\n";
        let fields: FieldsConfig = toml::from_str(text).unwrap();
        assert_eq!(fields.get(RequestField::Subscription).unwrap().paths, ["consumer.id"]);
        assert_eq!(fields.route.as_ref().unwrap().paths, ["a", "b"]);
        assert_eq!(fields.duration_ms.as_ref().unwrap().unit, Some(TimeUnit::Seconds));
        assert_eq!(fields.service.as_ref().unwrap().constant.as_deref(), Some("shop"));
        let written = toml::to_string(&fields).unwrap();
        assert_eq!(toml::from_str::<FieldsConfig>(&written).unwrap(), fields, "{written}");
    }

    #[test]
    fn rules_that_cannot_work_are_found() {
        let text =
            "status = { unit = 's', paths = ['a'] }\nroute = []\nmethod = ''\nhost = { paths = ['a'], add = 1 }\n";
        let fields: FieldsConfig = toml::from_str(text).unwrap();
        let keys = |is_mapping| -> Vec<String> {
            fields.problems(is_mapping).into_iter().map(|(key, _)| key.replace("decode.fields.", "")).collect()
        };
        assert_eq!(keys(false), ["method", "route", "status", "host"]);
        assert_eq!(keys(true)[4..], ["timestamp", "subscription", "duration_ms"]);
    }

    #[test]
    fn a_rule_that_is_none_is_explained() {
        let error = toml::from_str::<FieldsConfig>("route = { path = 'a' }").unwrap_err().to_string();
        assert!(error.contains("a list of paths, or a table of `paths`"), "{error}");
        assert!(toml::from_str::<FieldsConfig>("rout = 'a'").is_err());
    }
}
