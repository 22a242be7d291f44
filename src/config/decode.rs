//! `[decode]`: how records become events.

use serde::{Deserialize, Serialize};

use super::{ByteCount, FieldsConfig};
use crate::model::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, names_credential};

/// Format of a record.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Format {
    /// Floodmark's own JSON events, one or an array a record.
    #[default]
    Native,
    /// Apache/NGINX "combined" (or "common") access-log line.
    Combined,
    /// OpenTelemetry logs or traces as JSON, a whole export request a record.
    OtlpJson,
    /// OpenTelemetry logs or traces as Protobuf, a whole export request a record.
    OtlpProto,
    /// Envoy or Istio JSON access log.
    Envoy,
    /// Kong's kafka-log, http-log or file-log.
    Kong,
    /// Apache APISIX kafka-logger, file-logger.
    Apisix,
    /// Traefik JSON access log.
    Traefik,
    /// NGINX or ingress-nginx with a JSON `log_format`.
    Nginx,
    /// AWS API Gateway JSON access log.
    AwsApigw,
    /// Cloudflare Logpush, data set `http_requests`.
    Cloudflare,
    /// Zuplo request log.
    Zuplo,
    /// Elastic Common Schema, dotted or nested.
    Ecs,
    /// JSON of any other shape, by `decode.fields` alone.
    Mapping,
}

impl Format {
    /// As the configuration and dead letters name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Combined => "combined",
            Self::OtlpJson => "otlp_json",
            Self::OtlpProto => "otlp_proto",
            Self::Envoy => "envoy",
            Self::Kong => "kong",
            Self::Apisix => "apisix",
            Self::Traefik => "traefik",
            Self::Nginx => "nginx",
            Self::AwsApigw => "aws_apigw",
            Self::Cloudflare => "cloudflare",
            Self::Zuplo => "zuplo",
            Self::Ecs => "ecs",
            Self::Mapping => "mapping",
        }
    }
}

/// How records become events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeConfig {
    /// Format of the requests topic. Signals and changes are always native.
    pub requests_format: Format,
    /// A longer record is refused (dead-lettered with its first bytes): input must not choose our memory.
    pub record_bytes_max: ByteCount,
    /// What the fields of an access-log line mean.
    pub combined: CombinedConfig,
    /// Paths kept as attributes, instead of the format's own. Values whose names look like credentials are never kept.
    /// Not for `native` and `combined`, which say themselves what they keep.
    pub attributes: Option<Vec<String>>,
    /// Where fields of a request are found, instead of where the format looks. Not for `native` and `combined`.
    pub fields: FieldsConfig,
}

impl DecodeConfig {
    /// What types cannot say: key and message of each problem.
    pub(super) fn problems(&self) -> Vec<(String, String)> {
        let mut problems = self.fields.problems(self.requests_format == Format::Mapping);
        let attributes = self.attributes.as_deref().unwrap_or_default();
        if attributes.len() > ATTRIBUTES_MAX {
            problems.push(("decode.attributes".to_owned(), format!("must name at most {ATTRIBUTES_MAX} paths")));
        }
        for path in attributes {
            if path.is_empty() || path.len() > ATTRIBUTE_BYTES_MAX {
                let message = format!("paths must have 1 to {ATTRIBUTE_BYTES_MAX} bytes");
                problems.push(("decode.attributes".to_owned(), message));
            } else if names_credential(path) {
                let message = format!("{path:?} is the name of a credential, and those are never kept");
                problems.push(("decode.attributes".to_owned(), message));
            }
        }
        problems
    }
}

impl Default for DecodeConfig {
    fn default() -> Self {
        Self {
            requests_format: Format::Native,
            record_bytes_max: ByteCount::mib(1),
            combined: CombinedConfig::default(),
            attributes: None,
            fields: FieldsConfig::default(),
        }
    }
}

/// What the fields of an access-log line mean.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CombinedConfig {
    /// Which field is the subscription.
    pub subscription: CombinedSubscription,
    /// What is the route.
    pub route: CombinedRoute,
    /// Name of the service that wrote the log; absent by default.
    pub service: Option<String>,
}

/// Which field of an access-log line says who is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CombinedSubscription {
    /// The first field, the client's address.
    #[default]
    RemoteAddress,
    /// The third field, the authenticated user; a line without one is refused.
    RemoteUser,
}

/// What of an access-log line is the route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CombinedRoute {
    /// The path without its query string, numbers and long hexadecimal parts replaced by `{id}`.
    #[default]
    PathTemplate,
    /// The path without its query string, as it is.
    Path,
}
