//! Style sheet, script and icon: part of the binary.

use axum::http::{HeaderName, header};
use axum::response::IntoResponse;

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
const ICON: &str = include_str!("assets/icon.svg");
/// Tells one build's assets from another's.
const MARK: u32 = mark(mark(mark(0x811c_9dc5, STYLE), SCRIPT), ICON);
/// Another build's assets have other addresses (see [`versioned`]), so one may be kept for long.
const KEEP: (HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=604800");

/// FNV-1a, at compile time.
const fn mark(mut mark: u32, text: &str) -> u32 {
    let bytes = text.as_bytes();
    let mut place = 0;
    while place < bytes.len() {
        mark = (mark ^ bytes[place] as u32).wrapping_mul(0x0100_0193);
        place += 1;
    }
    mark
}

/// An asset's address: a browser does not mix those of two builds.
pub(super) fn versioned(name: &str) -> String {
    format!("/console/{name}?v={MARK:08x}")
}

pub(super) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), KEEP], STYLE)
}

pub(super) async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8"), KEEP], SCRIPT)
}

pub(super) async fn icon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml"), KEEP], ICON)
}
