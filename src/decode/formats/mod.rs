//! The formats that are mappings: a file a format, each a table of where its fields are.

mod apisix;
mod aws_apigw;
mod cloudflare;
mod ecs;
mod envoy;
mod kong;
mod nginx;
mod otlp;
mod traefik;
mod zuplo;

use crate::config::{Format, RequestField, TimeUnit};

/// A format as a mapping. Constant: what is configured is added when a decoder is made.
pub(super) struct Builtin {
    /// Where each field may be found; the first place that has a value counts.
    pub(super) fields: &'static [(RequestField, &'static [Place])],
    /// What a field is when no place has a value.
    pub(super) constants: &'static [(RequestField, &'static str)],
    /// Values that mean "absent" for a field.
    pub(super) missing: &'static [(RequestField, &'static [&'static str])],
    /// Where request headers are; `{}` stands for a header's name, with `-` or with `_`.
    pub(super) headers: &'static [&'static str],
    /// Where OpenTelemetry's count of resends is.
    pub(super) resend_counts: &'static [&'static str],
    /// What is kept beside the fields.
    pub(super) attributes: &'static [&'static str],
}

/// A place in a record, and how the value is written there.
pub(super) struct Place {
    pub(super) path: &'static str,
    pub(super) unit: TimeUnit,
    /// To add to a number.
    pub(super) add: u32,
}

const fn at(path: &'static str) -> Place {
    Place { path, unit: TimeUnit::Milliseconds, add: 0 }
}

const fn in_unit(path: &'static str, unit: TimeUnit) -> Place {
    Place { path, unit, add: 0 }
}

/// A number that is counted from 0.
const fn from_zero(path: &'static str) -> Place {
    Place { path, unit: TimeUnit::Milliseconds, add: 1 }
}

/// Where headers are in logs whose shape their users make: under their own name, as NGINX names its variables, or in
/// an object.
const HEADERS_USER_MADE: &[&str] = &["{}", "http_{}", "headers.{}", "request_headers.{}", "request.headers.{}"];

/// No format of its own: `decode.fields` says everything but where retry headers are.
static MAPPING: Builtin = Builtin {
    fields: &[],
    constants: &[],
    missing: &[],
    headers: HEADERS_USER_MADE,
    resend_counts: &[],
    attributes: &[],
};

/// The table of OpenTelemetry's conventions, which its two encodings share.
pub(super) fn otlp() -> &'static Builtin {
    &otlp::OTLP
}

/// The table of a format of JSON records; `None` for the others.
pub(super) fn builtin(format: Format) -> Option<&'static Builtin> {
    match format {
        Format::Native | Format::Combined | Format::OtlpJson | Format::OtlpProto => None,
        Format::Envoy => Some(&envoy::ENVOY),
        Format::Kong => Some(&kong::KONG),
        Format::Apisix => Some(&apisix::APISIX),
        Format::Traefik => Some(&traefik::TRAEFIK),
        Format::Nginx => Some(&nginx::NGINX),
        Format::AwsApigw => Some(&aws_apigw::AWS_APIGW),
        Format::Cloudflare => Some(&cloudflare::CLOUDFLARE),
        Format::Zuplo => Some(&zuplo::ZUPLO),
        Format::Ecs => Some(&ecs::ECS),
        Format::Mapping => Some(&MAPPING),
    }
}
