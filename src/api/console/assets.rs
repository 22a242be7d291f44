//! Style sheet, script and icon: part of the binary.

use axum::http::{HeaderName, header};
use axum::response::IntoResponse;

/// Another version has other addresses (see [`versioned`]), so an asset may be kept for long.
const KEEP: (HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=86400");

/// An asset's address, with the version: a browser does not mix two.
pub(super) fn versioned(name: &str) -> String {
    format!("/console/{name}?v={}", env!("CARGO_PKG_VERSION"))
}

pub(super) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), KEEP], include_str!("assets/console.css"))
}

pub(super) async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8"), KEEP], include_str!("assets/console.js"))
}

pub(super) async fn icon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml"), KEEP], include_str!("assets/icon.svg"))
}
