//! Any bytes as a record of the format `mapping`, by a configuration that uses everything a mapping can say.
#![no_main]

use std::sync::OnceLock;

use floodmark_fuzz::config::{DecodeConfig, Format};
use floodmark_fuzz::decode::Decoder;

const DECODE: &str = r##"
    requests_format = "mapping"
    attributes = ["tenant.plan", "tags.#", "deep.a.b.c", "referer"]
    [fields]
    timestamp = ["when", "time.written"]
    subscription = { paths = ["tenant.key", "tenant"], missing = ["anonymous", "0"] }
    address = ["peer", "forwarded"]
    client = "app"
    client_version = "ver"
    user_agent = "agent"
    service = { constant = "shop" }
    caller = "from"
    method = "verb"
    route = ["op", "uri"]
    status = { paths = ["code"], missing = ["000"] }
    duration_ms = { paths = ["took"], unit = "s", missing = ["n/a"] }
    started_at = "time.begun"
    ended_at = ["time.ended", "until"]
    request_bytes = "in"
    response_bytes = "out"
    attempt = { paths = ["tries", "attempts.#"], add = 1 }
    request_key = "ops.id"
    upstream_attempts = { paths = ["upstreams", "upstreams.#"], add = 4294967295 }
    request_id = "id"
    region = "zone"
    host = "machine.name"
"##;

libfuzzer_sys::fuzz_target!(|record: &[u8]| {
    static DECODER: OnceLock<Decoder> = OnceLock::new();
    let decoder = DECODER.get_or_init(|| {
        let config: DecodeConfig = toml::from_str(DECODE).expect("the mapping above is a configuration");
        Decoder::new(Format::Mapping, &config)
    });
    floodmark_fuzz::check(decoder, record);
});
