//! What is written is what the gateways' documentation describes; NGINX itself reads it in `tests/it/limits.rs`.

use serde::Deserialize;

use super::*;

const LIMITS: &str = "
[[limits]]
name = 'profile-start'
routes = ['SearchFingerprints', 'StartProfile', '/v1/files/{id}']
requests = 1200
per = '1m'
[[limits]]
name = 'everything'
requests = 100
per = '15s'
";

fn options() -> ExportOptions {
    let place = |text: &str| text.parse().unwrap();
    ExportOptions {
        header: "x-subscription".to_owned(),
        paths: [("StartProfile".to_owned(), place("POST /v1/profiles/{id}/start"))].into_iter().collect(),
        burst: None,
        dry_run: false,
    }
}

fn exported(format: ExportFormat, options: &ExportOptions) -> String {
    export(&Limits::parse(LIMITS, "limits.toml").unwrap(), format, options).unwrap()
}

/// `config.YamlRoot` of the service's sources (`src/config/config_impl.go`), as far as it is documented.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceFile {
    domain: String,
    descriptors: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Descriptor {
    key: String,
    value: Option<String>,
    rate_limit: Option<RateLimit>,
    #[serde(default)]
    descriptors: Vec<Descriptor>,
    #[serde(default)]
    shadow_mode: bool,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateLimit {
    unit: Unit,
    requests_per_unit: u32,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Second,
    Minute,
    Hour,
}

#[test]
fn envoys_service_reads_its_descriptors() {
    let text = exported(ExportFormat::Envoy, &ExportOptions { dry_run: true, ..options() });
    insta::assert_snapshot!(text);
    let file: ServiceFile = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(file.domain, "floodmark");
    let limits: Vec<(Option<&str>, &RateLimit)> = file
        .descriptors
        .iter()
        .map(|limit| {
            assert_eq!((limit.key.as_str(), limit.descriptors[0].key.as_str()), ("floodmark_limit", "subscription"));
            assert!(limit.descriptors[0].shadow_mode && limit.descriptors[0].descriptors.is_empty());
            (limit.value.as_deref(), limit.descriptors[0].rate_limit.as_ref().unwrap())
        })
        .collect();
    let minute = |requests_per_unit| RateLimit { unit: Unit::Minute, requests_per_unit };
    // 100 in 15 s are no whole number a second.
    assert_eq!(limits, [(Some("profile-start"), &minute(1_200)), (Some("everything"), &minute(400))]);
}

/// `config.route.v3.RateLimit` of Envoy's API, as far as it is used.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoutesFile {
    rate_limits: Vec<Actions>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Actions {
    actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Action {
    GenericKey { descriptor_key: String, descriptor_value: String },
    RequestHeaders { header_name: String, descriptor_key: String },
    HeaderValueMatch { descriptor_key: String, descriptor_value: String, headers: Vec<HeaderMatcher> },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderMatcher {
    name: String,
    string_match: StringMatch,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum StringMatch {
    Exact(String),
    SafeRegex { regex: String },
}

#[test]
fn envoy_sends_what_its_service_knows() {
    let text = exported(ExportFormat::EnvoyRoutes, &options());
    insta::assert_snapshot!(text);
    let file: RoutesFile = serde_saphyr::from_str(&text).unwrap();
    let mut by_path = Vec::new();
    for entry in &file.rate_limits {
        let [first, Action::RequestHeaders { header_name, descriptor_key }] = entry.actions.as_slice() else {
            panic!("{entry:?}")
        };
        assert_eq!((header_name.as_str(), descriptor_key.as_str()), ("x-subscription", "subscription"));
        match first {
            Action::GenericKey { descriptor_key, descriptor_value } => {
                assert_eq!(descriptor_key, "floodmark_limit");
                assert!(["profile-start", "everything"].contains(&descriptor_value.as_str()));
            }
            Action::HeaderValueMatch { descriptor_key, descriptor_value, headers } => {
                assert_eq!((descriptor_key.as_str(), descriptor_value.as_str()), ("floodmark_limit", "profile-start"));
                by_path.push(headers);
            }
            Action::RequestHeaders { .. } => panic!("{entry:?}"),
        }
    }
    // Envoy matches a regular expression against the whole path, its query part included.
    let StringMatch::SafeRegex { regex } = &by_path[0][0].string_match else { panic!("{by_path:?}") };
    let whole = regex::Regex::new(&format!("^(?:{regex})$")).unwrap();
    assert!(whole.is_match("/v1/profiles/7/start?x=1") && !whole.is_match("/v1/profiles/7/8/start"));
    let method = &by_path[0][1];
    assert!(method.name == ":method" && matches!(&method.string_match, StringMatch::Exact(post) if post == "POST"));
    assert_eq!((by_path.len(), by_path[1].len()), (2, 1));
}

#[test]
fn nginx_and_programs() {
    insta::assert_snapshot!(exported(ExportFormat::Nginx, &ExportOptions { dry_run: true, ..options() }));
    insta::assert_snapshot!(exported(ExportFormat::Json, &options()));
}

#[test]
fn names_cannot_break_out_of_a_file() {
    let limit = |name: &str| format!("[[limits]]\nname = {name:?}\nroutes = ['A']\nrequests = 1\nper = '1m'\n");
    for name in ["a\"; include /etc/passwd; #", "a\nb", "a$b", "a'b"] {
        let limits = Limits::parse(&limit(name), "limits.toml").unwrap();
        let refused = export(&limits, ExportFormat::Nginx, &options()).unwrap_err();
        assert_eq!(refused, ExportError::Name(name.to_owned()));
    }
    let limits = Limits::parse(&limit("a"), "limits.toml").unwrap();
    for header in ["", "a b", "x;y", "$x"] {
        let options = ExportOptions { header: header.to_owned(), ..options() };
        assert_eq!(export(&limits, ExportFormat::Envoy, &options).unwrap_err(), ExportError::Header(header.to_owned()));
    }
    assert_eq!(export(&Limits::default(), ExportFormat::Json, &options()).unwrap_err(), ExportError::Nothing);
}
