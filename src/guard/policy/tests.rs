//! Policies through check, compile and plan, without a server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::*;
use crate::config::Secret;

const SAMPLE: &str = include_str!("../../../config/guard.toml");

fn facts() -> ServerFacts {
    ServerFacts { memory_bytes_max: 16 << 30, cores: 8, ..ServerFacts::default() }
}

/// The shipped sample with a tenant of each kind.
fn policy() -> GuardPolicy {
    let tenants = "
[tenants.grafana]
class = 'dashboard'
password = 'grafana-secret'
databases = ['floodmark', 'web.requests']
queries_per_hour_max = 20_000
[tenants.notebooks]
class = 'ad_hoc'
user = 'jupyter'
password = 'notebook-secret'
databases = ['web']
read_bytes_per_hour_max = '10TB'
[tenants.loader]
class = 'ingest'
password = 'loader-secret'
databases = ['web']
";
    GuardPolicy::parse(&format!("{SAMPLE}\n{tenants}")).unwrap()
}

fn desired_of(policy: &GuardPolicy) -> Desired {
    compile(policy, &policy.passwords().unwrap(), &facts()).unwrap()
}

fn holes_of(text: &str) -> Vec<Hole> {
    check(&GuardPolicy::parse(text).unwrap()).holes
}

/// Sample plus `changes` to it: each replaces a text by another.
fn holes_with(changes: &[(&str, &str)]) -> Vec<String> {
    let mut text = SAMPLE.to_owned();
    for (old, new) in changes {
        assert!(text.contains(old), "{old} is not in the sample");
        text = text.replacen(old, new, 1);
    }
    holes_of(&text).into_iter().map(|hole| hole.key).collect()
}

/// What a server has on which `desired` was applied with SQL.
fn applied(desired: &Desired) -> Existing {
    Existing { objects: desired.objects(true), ..Existing::default() }
}

const SQL: PlanOptions = PlanOptions { sql_access: true, adopt: false };

fn all_statements(plan: &Plan, desired: &Desired) -> String {
    let mut text = String::new();
    for change in &plan.changes {
        for statement in statements(change, desired) {
            writeln!(text, "{statement:?};").unwrap();
        }
    }
    text
}

#[test]
fn the_sample_has_no_holes_and_its_other_sections_are_the_defaults() {
    let sample = GuardPolicy::parse(SAMPLE).unwrap();
    assert_eq!(check(&sample), Findings::default());
    assert_eq!(GuardPolicy { classes: BTreeMap::new(), tenants: BTreeMap::new(), ..sample }, GuardPolicy::default());
}

#[test]
fn every_key_is_in_the_sample_and_every_line_of_it_is_a_key() {
    // Keys that are off by default are behind `#` without a space.
    let uncommented: String = SAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let written: toml::Table = toml::from_str(&uncommented).unwrap();
    GuardPolicy::parse(&uncommented).unwrap();
    let schema = serde_json::to_value(schemars::schema_for!(GuardPolicy)).unwrap();
    let keys_of = |definition: &str| -> BTreeSet<String> {
        schema["$defs"][definition]["properties"].as_object().unwrap().keys().cloned().collect()
    };
    for (section, definition) in [
        ("server", "ServerPolicy"),
        ("classes", "ClassPolicy"),
        ("tenants", "TenantPolicy"),
        ("watchdog", "WatchdogPolicy"),
        ("breaker", "BreakerPolicy"),
        ("safe_mode", "SafeModePolicy"),
        ("black_box", "BlackBoxPolicy"),
        ("proxy", "ProxyPolicy"),
    ] {
        let table = written[section].as_table().unwrap();
        let named = matches!(section, "classes" | "tenants");
        let keys: BTreeSet<String> = match named {
            true => table.values().flat_map(|value| value.as_table().unwrap().keys().cloned()).collect(),
            false => table.keys().cloned().collect(),
        };
        assert_eq!(keys, keys_of(definition), "[{section}]");
    }
}

#[test]
fn holes_are_told_all_together_with_why_and_what_to_write() {
    let holes = holes_of(
        "
[server]
slots = 10
ingest_slots_share_min = 0.0
[classes.dashboard]
query_memory_share_max = 0.5
user_memory_share_max = 0.2
spill_share_min = 0.3
read_rows_max = 0
temporary_bytes_max = 0
duration_max = '500ms'
threads_max = 0
slots = 8
waiting_max = 16
[classes.dashboard.settings]
group_by_overflow_mode = 'any'
memory_overcommit_ratio_denominator = 0
workload = 'another'
max_memory_usage = 5
max_columns_to_read = { value = 10, max = 20 }
max_estimated_execution_time = { value = 10, min = 0, max = 20 }
[classes.export]
slots = 8
settings_changeable = ['max_memory_usage_for_user']
[classes.ingest]
writes = true
duration_max = '5s'
[tenants.a]
class = 'dashbord'
databases = ['web']
password = 'x'
[tenants.b]
class = 'export'
user = 'a'
queries_per_hour_max = 0
[tenants.c]
class = 'export'
user = 'default'
password = 'x'
databases = ['web; DROP TABLE x']
[proxy]
admin_listen = '0.0.0.0:8125'
",
    );
    insta::assert_snapshot!(holes_in_words(&holes));
}

#[test]
fn an_enforced_policy_without_classes_or_tenants_is_a_hole() {
    let keys = |text: &str| holes_of(text).into_iter().map(|hole| hole.key).collect::<Vec<_>>();
    assert_eq!(keys("[proxy]\nenforce = true\n[watchdog]\nenforce = true\n"), ["watchdog.enforce", "proxy.enforce"]);
    assert_eq!(keys(""), Vec::<String>::new());
    assert_eq!(
        holes_with(&[("enforce = false                 # shadow: everything", "enforce = true #")]),
        ["proxy.enforce"]
    );
}

#[test]
fn each_limit_of_a_class_that_reads_is_needed() {
    for line in [
        "query_memory_share_max = 0.03 ",
        "user_memory_share_max = 0.25 ",
        "spill_share_min = 0.0075",
        "duration_max = \"15s\" ",
        "slots = 16 ",
        "waiting_max = 32 ",
    ] {
        let key = line.split(' ').next().unwrap();
        assert_eq!(holes_with(&[(line, "#")]), [format!("classes.dashboard.{key}")]);
    }
    assert_eq!(
        holes_with(&[("read_rows_max = 2_000_000_000", "#"), ("read_bytes_max = \"100GB\"", "#")]),
        ["classes.dashboard.read_bytes_max"]
    );
}

#[test]
fn both_sides_of_the_boundaries() {
    let spill = |share: &str| holes_with(&[("spill_share_min = 0.0075", &format!("spill_share_min = {share}"))]);
    assert_eq!(spill("0.0075"), Vec::<String>::new(), "exactly a quarter is enough");
    assert_eq!(spill("0.00751"), ["classes.dashboard.spill_share_min"]);
    let duration = |span: &str| holes_with(&[("duration_max = \"15s\" ", &format!("duration_max = \"{span}\" "))]);
    assert_eq!((duration("1s"), duration("2m")), (Vec::new(), Vec::new()));
    assert_eq!(duration("1500ms"), ["classes.dashboard.duration_max"], "the server would end it after one second");
    // 40 slots, a fifth kept for writes: 32 for reads, of which ad_hoc and export have 6.
    let slots = |slots: u32| {
        holes_with(&[
            ("slots = 16 ", &format!("slots = {slots} ")),
            ("query_memory_share_max = 0.03", "query_memory_share_max = 0.02"),
            ("spill_share_min = 0.0075", "spill_share_min = 0.005"),
        ])
    };
    assert_eq!(slots(26), Vec::<String>::new());
    assert_eq!(slots(27), ["server.slots"]);
    let trusting = |url: &str| {
        holes_with(&[("url = \"http://127.0.0.1:8123\"", &format!("url = \"{url}\"\nca_file = \"ca.pem\""))])
    };
    assert_eq!(trusting("https://127.0.0.1:8443"), Vec::<String>::new());
    assert_eq!(trusting("http://127.0.0.1:8123"), ["server.ca_file"]);
    // 16 × 3.75 % and the 40 % of the others are all there is.
    let memory =
        |share: &str| holes_with(&[("query_memory_share_max = 0.03", &format!("query_memory_share_max = {share}"))]);
    assert_eq!(memory("0.0375"), Vec::<String>::new());
    assert_eq!(memory("0.0376"), ["classes"]);
}

#[test]
fn more_threads_than_half_of_the_cores_is_a_word_and_no_hole() {
    let policy = GuardPolicy::parse(&SAMPLE.replacen("slots = 16 ", "threads_max = 5\nslots = 16 ", 1)).unwrap();
    let desired = desired_of(&policy);
    let keys: Vec<&str> = desired.warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(keys, ["classes.dashboard.threads_max"]);
}

#[test]
fn a_setting_that_the_server_does_not_know_is_left_out_or_refused() {
    let mut policy = policy();
    let class = policy.classes.get_mut("dashboard").unwrap();
    class.settings.insert("max_colums_to_read".to_owned(), SettingPolicy::Fixed(SettingValue::Number(9)));
    let settings: BTreeSet<String> = ["max_columns_to_read", "readonly", "workload"].map(str::to_owned).into();
    let facts = ServerFacts { settings: Some(settings), ..facts() };
    let holes = compile(&policy, &policy.passwords().unwrap(), &facts).unwrap_err();
    let told: Vec<(&str, &str)> = holes.iter().map(|hole| (hole.key.as_str(), hole.write.as_str())).collect();
    assert_eq!(told, [("classes.dashboard.settings.max_colums_to_read", "did you mean `max_columns_to_read`?")]);
    policy.classes.get_mut("dashboard").unwrap().settings.clear();
    let desired = compile(&policy, &policy.passwords().unwrap(), &facts).unwrap();
    let kept: Vec<&String> = desired.profiles["floodmark_guard_dashboard"].keys().collect();
    assert_eq!(kept, ["readonly", "workload"]);
    assert!(desired.warnings.iter().any(|warning| warning.key.ends_with("max_memory_usage")));
}

#[test]
fn no_limit_of_a_reader_admits_zero_or_can_be_raised() {
    for (name, profile) in desired_of(&policy()).profiles {
        for (setting, Setting { value, min, max, writability }) in profile {
            let held = match writability {
                Writability::Const => min.is_none() && max.is_none(),
                // Rows are bounded only where bytes hold the class: `max_rows_to_read` refuses `LIMIT` queries wrongly.
                _ if setting == "max_rows_to_read" => {
                    value.is_none() && max.is_some() && min.is_some_and(|min| !min.is_zero())
                }
                _ => setting == "log_comment" || (value == max && min.is_some_and(|min| !min.is_zero())),
            };
            assert!(held, "{name}.{setting}");
        }
    }
}

#[test]
fn the_statements_of_a_new_server() {
    let desired = desired_of(&policy());
    let plan = plan(&desired, &Existing::default(), Vec::new(), SQL);
    insta::assert_snapshot!(all_statements(&plan, &desired));
}

#[test]
fn the_file_for_users_d() {
    insta::assert_snapshot!(desired_of(&policy()).users_xml());
}

#[test]
fn the_workloads_of_a_server_that_has_some_hang_below_its_root() {
    let facts = ServerFacts {
        foreign_root: Some("production".to_owned()),
        foreign_default: true,
        foreign_slots: true,
        ..facts()
    };
    let desired = compile(&GuardPolicy::parse(SAMPLE).unwrap(), &BTreeMap::new(), &facts).unwrap();
    insta::assert_snapshot!(desired.workload_statements().join("\n"), @"
    CREATE OR REPLACE WORKLOAD floodmark_guard IN production
    CREATE OR REPLACE WORKLOAD floodmark_guard_reads IN floodmark_guard SETTINGS max_concurrent_queries = 32
    CREATE OR REPLACE WORKLOAD floodmark_guard_ad_hoc IN floodmark_guard_reads SETTINGS max_concurrent_queries = 4, max_waiting_queries = 8
    CREATE OR REPLACE WORKLOAD floodmark_guard_dashboard IN floodmark_guard_reads SETTINGS max_concurrent_queries = 16, max_waiting_queries = 32
    CREATE OR REPLACE WORKLOAD floodmark_guard_export IN floodmark_guard_reads SETTINGS max_concurrent_queries = 2, max_waiting_queries = 4
    CREATE OR REPLACE WORKLOAD floodmark_guard_ingest IN floodmark_guard
    ");
}

#[test]
fn a_second_plan_is_empty() {
    let desired = desired_of(&policy());
    assert!(plan(&desired, &applied(&desired), Vec::new(), SQL).is_empty());
}

#[test]
fn what_differs_is_changed_in_place_and_what_is_gone_goes_dependants_first() {
    let desired = desired_of(&policy());
    let mut existing = applied(&desired);
    let mut set = |kind: Kind, name: &str, attribute: &str, value: &str| {
        let attributes = existing.objects.entry((kind, name.to_owned())).or_default();
        attributes.insert(attribute.to_owned(), value.to_owned());
    };
    set(Kind::Profile, "floodmark_guard_dashboard", "max_memory_usage", "0 MAX 1");
    set(Kind::Profile, "floodmark_guard_dashboard", "applies to", "ALL");
    set(Kind::Role, "floodmark_guard_grafana", "grant SELECT ON *.*", "granted");
    set(Kind::Role, "floodmark_guard_grafana", "grant SELECT ON floodmark.*", "granted with grant option");
    set(Kind::Role, "floodmark_guard_notebooks", "setting max_memory_usage", "0");
    set(Kind::Quota, "floodmark_guard_grafana", "keyed by", "client_key");
    set(Kind::Workload, "floodmark_guard_export", "max_concurrent_queries", "200");
    set(Kind::User, "jupyter", "password", "another");
    set(Kind::User, "jupyter", "setting max_memory_usage", "0");
    set(Kind::User, "jupyter", "role admin", "granted");
    set(Kind::User, "jupyter", "grant INSERT ON *.*", "granted");
    set(Kind::User, "old", "role floodmark_guard_old", "granted");
    set(Kind::Role, "floodmark_guard_old", "grant SELECT ON web.*", "granted");
    set(Kind::Profile, "floodmark_guard_old", "readonly", "1 CONST");
    set(Kind::Workload, "floodmark_guard_old", "parent", "floodmark_guard_older");
    set(Kind::Workload, "floodmark_guard_older", "parent", "floodmark_guard_reads");
    let plan = plan(&desired, &existing, Vec::new(), SQL);
    insta::assert_snapshot!(all_statements(&plan, &desired));
}

#[test]
fn a_user_of_somebody_else_is_in_the_way_until_it_is_adopted() {
    let desired = desired_of(&policy());
    let mut existing = applied(&desired);
    existing.foreign_users.insert("jupyter".to_owned());
    existing.objects.insert((Kind::User, "jupyter".to_owned()), Attributes::new());
    existing.from_users_xml.insert((Kind::Profile, "floodmark_guard_export".to_owned()));
    let key = (Kind::Profile, "floodmark_guard_export".to_owned());
    existing.objects.get_mut(&key).unwrap().clear();
    let actions = |options: PlanOptions| -> Vec<(Action, String)> {
        let plan = plan(&desired, &existing, Vec::new(), options);
        plan.changes.into_iter().map(|change| (change.action, change.name)).collect()
    };
    let conflict = |name: &str| (Action::Conflict, name.to_owned());
    assert_eq!(actions(SQL), [conflict("floodmark_guard_export"), conflict("jupyter")]);
    let adopted = actions(PlanOptions { adopt: true, ..SQL });
    assert_eq!(adopted, [conflict("floodmark_guard_export"), (Action::Change, "jupyter".to_owned())]);
}

#[test]
fn nothing_that_is_shown_holds_a_password() {
    let desired = desired_of(&policy());
    let plan = plan(&desired, &Existing::default(), Vec::new(), SQL);
    let shown =
        format!("{plan:?} {desired:?} {} {}", all_statements(&plan, &desired), serde_json::to_string(&plan).unwrap());
    let hash = statements::password_hash(&desired.users["jupyter"]);
    assert!(!shown.contains("-secret") && !shown.contains(&hash));
    let create = plan.changes.iter().find(|change| change.name == "jupyter").unwrap();
    assert!(statements(create, &desired)[0].sql.contains(&hash), "but it is sent");
}

#[test]
fn a_local_engine_keeps_its_own_users() {
    let mut desired = desired_of(&policy());
    assert!(desired.local_guard().is_ok());
    let user = desired.users["jupyter"].clone();
    desired.users.insert("reader".to_owned(), User { password: Secret::new("x"), ..user });
    assert_eq!(desired.local_guard().unwrap_err(), ["reader"]);
}

#[test]
fn the_file_is_replaced_as_a_whole_and_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("guard.xml");
    assert!(write_private_file(&path, "one").unwrap());
    assert!(!write_private_file(&path, "one").unwrap());
    assert!(write_private_file(&path, "two").unwrap());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn the_guard_says_what_sql_cannot_change() {
    let (policy, desired) = (policy(), desired_of(&policy()));
    let server = |settings: &[(&str, &str)]| Server {
        settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..Server::default()
    };
    let subjects = |server: &Server, existing: &Existing| -> Vec<String> {
        advise(&policy, &desired, server, existing).into_iter().map(|advice| advice.subject).collect()
    };
    let open = server(&[
        ("throw_on_unknown_workload", "0"),
        ("max_concurrent_queries", "30"),
        ("max_concurrent_select_queries", "0"),
        ("max_server_memory_usage_to_ram_ratio", "1"),
    ]);
    let quotas = [("theirs", "ALL"), ("jupyters", "jupyter"), ("others", "someone")];
    let quotas = quotas.map(|(name, who)| (name.to_owned(), who.to_owned())).into();
    assert_eq!(
        subjects(&open, &Existing { client_keyed_quotas: quotas, ..Existing::default() }),
        [
            "throw_on_unknown_workload",
            "max_concurrent_select_queries",
            "max_concurrent_queries",
            "max_server_memory_usage_to_ram_ratio",
            "quota jupyters",
            "quota theirs",
        ]
    );
    let closed = server(&[
        ("throw_on_unknown_workload", "1"),
        ("max_concurrent_queries", "100"),
        ("max_concurrent_select_queries", "32"),
        ("max_server_memory_usage_to_ram_ratio", "0.8"),
    ]);
    assert_eq!(subjects(&closed, &Existing::default()), Vec::<String>::new());
}
