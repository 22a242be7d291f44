//! Ids of queries: the client's, or the guard's own, which nobody can guess and take first.

use http::HeaderMap;

use super::parameters::Parameters;
use super::refused::Refused;

/// Longest id of a query that is taken over from a client.
const QUERY_ID_BYTES_MAX: usize = 256;
/// How the ids begin that the guard gives.
const QUERY_ID_PREFIX: &str = "floodmark-";
/// Where a client may say the id besides the parameter.
const QUERY_ID_HEADER: &str = "x-clickhouse-query-id";

/// The id that a client gives its query, in the parameter or the header.
pub(super) fn own_query_id(parameters: &Parameters, headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let in_header = headers.get(QUERY_ID_HEADER).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let id = match (parameters.get("query_id").map(String::from_utf8_lossy), in_header) {
        (Some(id), Some(other)) if id != other => {
            return Err(Refused::ambiguous("the parameter query_id and the header X-ClickHouse-Query-Id differ"));
        }
        (Some(id), _) | (None, Some(id)) => id.into_owned(),
        (None, None) => return Ok(None),
    };
    if id.len() > QUERY_ID_BYTES_MAX {
        return Err(Refused::ambiguous("the query_id is too long"));
    }
    if id.starts_with(QUERY_ID_PREFIX) {
        return Err(Refused::ambiguous(format!(
            "a query_id that begins with {QUERY_ID_PREFIX} is the guard's to give"
        )));
    }
    Ok(Some(id).filter(|id| !id.is_empty()))
}

/// An id for a query whose client gave none: one that nobody can guess and take first.
pub(super) fn random_query_id() -> Result<String, Refused> {
    random_id("").map_err(|error| Refused::full(&format!("no random number for an id: {error}")))
}

/// An id for an estimate.
pub(super) fn random_estimate_id() -> Result<String, getrandom::Error> {
    random_id("estimate-")
}

fn random_id(kind: &str) -> Result<String, getrandom::Error> {
    Ok(format!("{QUERY_ID_PREFIX}{kind}{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_query_id_is_found_and_never_looks_like_one_of_the_guards() {
        let of = |parameters: &str, header: Option<&str>| {
            let headers = header.map(|value| (QUERY_ID_HEADER.parse().unwrap(), value.parse().unwrap()));
            own_query_id(&Parameters::parse(parameters), &HeaderMap::from_iter(headers)).map_err(|refused| refused.code)
        };
        assert_eq!(of("", None), Ok(None));
        assert_eq!(of("query_id=", None), Ok(None));
        assert_eq!(of("query_id=a", None), Ok(Some("a".to_owned())));
        assert_eq!(of("", Some("b")), Ok(Some("b".to_owned())));
        assert_eq!(of("query_id=a", Some("a")), Ok(Some("a".to_owned())));
        assert_eq!(of("query_id=a", Some("b")), Err(36));
        assert_eq!(of(&format!("query_id={}", random_query_id().unwrap()), None), Err(36));
        assert_eq!(of("", Some("floodmark-1")), Err(36));
        assert_eq!(of(&format!("query_id={}", "x".repeat(QUERY_ID_BYTES_MAX + 1)), None), Err(36));
        assert_ne!(random_query_id().unwrap(), random_query_id().unwrap());
    }
}
