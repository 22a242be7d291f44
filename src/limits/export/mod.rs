//! Limits as a gateway reads them. What a gateway cannot express is said in comments at the top of each file.

mod envoy;
mod json;
mod nginx;
mod routes;
#[cfg(test)]
mod tests;

pub use routes::{RoutePath, RoutePathError};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::detect::Limits;

/// What reads the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ExportFormat {
    /// Configuration of Envoy's rate-limit service (descriptors)
    Envoy,
    /// What Envoy sends that service: `rate_limits` of routes or of a virtual host
    EnvoyRoutes,
    /// NGINX: a file to include in `http { }`
    Nginx,
    /// The limits and where their routes are, for programs
    Json,
}

/// How limits are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportOptions {
    /// Header that names the subscription; the gateway's authentication must set it.
    pub header: String,
    /// Where routes are, by name; routes that are paths themselves need none.
    pub paths: BTreeMap<String, RoutePath>,
    /// Requests that may come at once, for gateways that know such a thing; without it, whoever keeps to the limit is
    /// never refused.
    pub burst: Option<u64>,
    /// Count and log, and refuse nobody.
    pub dry_run: bool,
}

/// Why limits cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// There are none.
    #[error("the limits file has no limit")]
    Nothing,
    /// The header's name would break out of the file.
    #[error("\"{0}\" is no name of a header: letters, digits and - are")]
    Header(String),
    /// A name would break out of the file.
    #[error("\"{0}\" cannot be written into a gateway's file: letters, digits and _ - . / {{ }} : are possible")]
    Name(String),
}

/// The limits in the format of a gateway.
///
/// # Errors
/// See [`ExportError`].
pub fn export(limits: &Limits, format: ExportFormat, options: &ExportOptions) -> Result<String, ExportError> {
    if limits.limits.is_empty() {
        return Err(ExportError::Nothing);
    }
    let header_fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if options.header.is_empty() || !options.header.chars().all(header_fits) {
        return Err(ExportError::Header(options.header.clone()));
    }
    let names = limits.limits.iter().flat_map(|limit| std::iter::once(&limit.name).chain(&limit.routes));
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-./{}:* ".contains(c);
    if let Some(name) = names.into_iter().find(|name| !name.chars().all(fits)) {
        return Err(ExportError::Name(name.clone()));
    }
    Ok(match format {
        ExportFormat::Envoy => envoy::service(limits, options),
        ExportFormat::EnvoyRoutes => envoy::routes(limits, options),
        ExportFormat::Nginx => nginx::include(limits, options),
        ExportFormat::Json => json::json(limits, options),
    })
}

/// Lines as comments.
fn comments(lines: &[String]) -> String {
    lines.iter().map(|line| if line.is_empty() { "#\n".to_owned() } else { format!("# {line}\n") }).collect()
}
