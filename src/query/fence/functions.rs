//! Functions: which reach beyond the tables, and which take a table's name.

/// Table functions that make rows and read nothing.
const TABLE_FUNCTIONS: [&str; 5] = ["numbers", "numbers_mt", "generateseries", "generate_series", "values"];
/// Functions that read files, dictionaries, models, the server or the request, or that only wait.
const REFUSED: [&str; 42] = [
    "file",
    "hascolumnintable",
    "getsetting",
    "getsettingordefault",
    "getserversetting",
    "getmergetreesetting",
    "getserverport",
    "getmacro",
    "getclienthttpheader",
    "getoskernelversion",
    "hostname",
    "fqdn",
    "fullhostname",
    "currentuser",
    "current_user",
    "authenticateduser",
    "displayname",
    "queryid",
    "query_id",
    "initial_query_id",
    "initialquerystarttime",
    "initial_query_start_time",
    "uptime",
    "zookeepersessionuptime",
    "connectionid",
    "user",
    "initialqueryid",
    "sleep",
    "sleepeachrow",
    "logtrace",
    "showcertificate",
    "serveruuid",
    "tcpport",
    "currentprofiles",
    "enabledprofiles",
    "currentroles",
    "enabledroles",
    "defaultroles",
    "generateserialid",
    "transactionid",
    "estimatecompressionratio",
    "naivebayesclassifier",
];
/// Beginnings of names of such functions.
const REFUSED_FAMILIES: [&str; 8] =
    ["dict", "joinget", "catboost", "evalml", "filesystem", "addressto", "demangle", "ai"];

pub(super) fn may_be_called(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !REFUSED.contains(&name.as_str()) && !REFUSED_FAMILIES.iter().any(|family| name.starts_with(family))
}

pub(super) fn may_be_a_table(name: &str) -> bool {
    TABLE_FUNCTIONS.contains(&name.to_ascii_lowercase().as_str())
}

/// Whether what stands right of it may be the name of a table: `x IN t`, `in(x, t)`, `nullIn`, `globalNotIn` …
pub(super) fn is_in(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let rest = name.strip_prefix("global").unwrap_or(&name);
    let rest = rest.strip_suffix("ignoreset").unwrap_or(rest);
    matches!(rest, "in" | "notin" | "nullin" | "notnullin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        for name in ["file", "File", "dictGet", "dictGetOrDefault", "joinGetOrNull", "hasColumnInTable", "sleepEachRow"]
        {
            assert!(!may_be_called(name), "{name}");
        }
        for name in ["count", "quantileTDigestMerge", "indexOf", "in", "userAgent", "arrayAvg", "min"] {
            assert!(may_be_called(name), "{name}");
        }
        for name in ["in", "notIn", "globalIn", "globalNotIn", "nullIn", "globalNotNullInIgnoreSet"] {
            assert!(is_in(name), "{name}");
        }
        assert!(!is_in("min") && !is_in("joinIn") && may_be_a_table("VALUES") && !may_be_a_table("merge"));
    }
}
