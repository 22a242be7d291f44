//! What every target asserts: a record gives at least one event or rejection, each at its place, and sane ones.
//!
//! The decoders are compiled here once more, without the shell around them: the libraries in C that it needs cannot be
//! linked to a sanitizer half way, and take minutes to build.

#[path = "../src/config/mod.rs"]
#[expect(unused_imports, reason = "the rest of the crate, which uses them, is not here")]
pub mod config;
#[path = "../src/decode/mod.rs"]
pub mod decode;
#[path = "../src/model/mod.rs"]
#[expect(unused_imports, reason = "the rest of the crate, which uses them, is not here")]
pub mod model;

use config::{DecodeConfig, Format};
use decode::Decoder;
use model::Event;

/// A decoder of `format`, as a target holds it for all its inputs.
#[must_use]
pub fn decoder(format: Format) -> Decoder {
    Decoder::new(format, &DecodeConfig::default())
}

/// Decodes one input.
///
/// # Panics
/// When a record disappears, or an event is not what the contract says.
pub fn check(decoder: &Decoder, record: &[u8]) {
    let mut next = 0_u16;
    decoder.decode(record, &mut |index, decoded| {
        assert_eq!(index, next, "events and rejections come in order");
        next += 1;
        match decoded {
            Ok(Event::Request(request)) => {
                assert!(request.duration_ms.is_finite() && request.duration_ms >= 0.0);
                assert!(request.status <= 999 && request.attempt != Some(0));
                assert!(
                    (1..=1_024).contains(&request.subscription.len()) && (1..=1_024).contains(&request.route.len())
                );
            }
            Ok(_) => {}
            Err(reason) => assert!(reason.message.len() < 400 && !reason.message.contains('\n'), "{reason:?}"),
        }
    });
    assert!(next > 0, "every record is accounted for");
}

/// Takes a query's text apart.
///
/// # Panics
/// When its normal form grows beyond its text, or changes with a comment.
pub fn check_sql(text: &str) {
    let normal = model::normalise_sql(text);
    let facts = model::sql_facts(text);
    assert!(facts.tables.len() <= model::SQL_TABLES_MAX && facts.settings.len() <= model::SQL_SETTINGS_MAX);
    // A literal becomes one sign, and each token gets at most one space.
    assert!(normal.len() <= 2 * text.len());
    if text.len() + 16 < model::SQL_BYTES_MAX {
        assert_eq!(model::normalise_sql(&format!("/* x */ {text}")), normal);
    }
    assert_eq!(model::sql_fingerprint(&normal).len(), 16);
}

/// The body of a target: one format.
#[macro_export]
macro_rules! target {
    ($format:ident) => {
        use std::sync::OnceLock;

        use floodmark_fuzz::config::Format;
        use floodmark_fuzz::decode::Decoder;

        libfuzzer_sys::fuzz_target!(|record: &[u8]| {
            static DECODER: OnceLock<Decoder> = OnceLock::new();
            floodmark_fuzz::check(DECODER.get_or_init(|| floodmark_fuzz::decoder(Format::$format)), record);
        });
    };
}
