//! Who asks: the credentials of a request, in the one place where they stand, held against the tenants of the policy.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::parameters::Parameters;
use super::refused::Refused;
use crate::config::{Secret, SecretFileError};
use crate::guard::policy::{GuardPolicy, TenantPolicy};

/// User that ClickHouse takes when none is named.
const DEFAULT_USER: &str = "default";

/// Who asks, and as whom the query runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Identity {
    /// Tenant: of the policy, or without tenants the user's name as it was given.
    pub(super) tenant: String,
    /// ClickHouse user of the query.
    pub(super) user: String,
    /// Its password.
    pub(super) password: Secret,
    /// Whether the tenant was checked here; else ClickHouse does it.
    pub(super) is_known: bool,
    /// SHA-256 of user and password: under which what is learned of this access is kept.
    pub(super) key: [u8; 32],
}

impl Identity {
    fn new(tenant: &str, user: &str, password: Secret, is_known: bool) -> Self {
        let mut hash = Sha256::new();
        hash.update(user.as_bytes());
        hash.update([0]);
        hash.update(password.expose().as_bytes());
        let key = hash.finalize().into();
        Self { tenant: tenant.to_owned(), user: user.to_owned(), password, is_known, key }
    }
}

#[derive(Debug)]
struct Tenant {
    name: String,
    user: String,
    password: Secret,
    digest: [u8; 32],
}

/// The tenants that may come in; without any, everybody whom ClickHouse knows.
#[derive(Debug)]
pub(super) struct Tenants {
    tenants: Vec<Tenant>,
}

/// Name and password of a request.
struct Given {
    user: String,
    password: String,
}

impl Tenants {
    /// Reads the tenants' passwords.
    ///
    /// # Errors
    /// A file of a password cannot be read.
    pub(super) fn of(policy: &GuardPolicy) -> Result<Self, SecretFileError> {
        let tenant = |(name, tenant): (&String, &TenantPolicy)| {
            let password =
                Secret::resolve(tenant.password.as_ref(), tenant.password_file.as_deref())?.unwrap_or_default();
            let digest = Sha256::digest(password.expose()).into();
            let user = tenant.user.clone().unwrap_or_else(|| name.clone());
            Ok(Tenant { name: name.clone(), user, password, digest })
        };
        Ok(Self { tenants: policy.tenants.iter().map(tenant).collect::<Result<_, _>>()? })
    }

    /// Takes the credentials out of a request.
    ///
    /// # Errors
    /// They stand in several places, cannot be read, or are not a tenant's.
    pub(super) fn identify(&self, headers: &HeaderMap, parameters: &mut Parameters) -> Result<Identity, Refused> {
        let given = given(headers, parameters)?;
        if self.tenants.is_empty() {
            return Ok(Identity::new(&given.user, &given.user, Secret::new(given.password), false));
        }
        let digest: [u8; 32] = Sha256::digest(&given.password).into();
        // Every tenant is compared, so that the time tells neither a name nor a password.
        let mut found = None;
        for tenant in &self.tenants {
            let same_name = tenant.name.as_bytes().ct_eq(given.user.as_bytes());
            // A tenant without a password is not open to everybody who leaves it out.
            let same = same_name & tenant.digest.ct_eq(&digest) & u8::from(!tenant.password.expose().is_empty()).into();
            if bool::from(same) {
                found = Some(tenant);
            }
        }
        let tenant = found.ok_or_else(|| Refused::authentication(&given.user))?;
        Ok(Identity::new(&tenant.name, &tenant.user, tenant.password.clone(), true))
    }
}

/// Name and password, from the one place where they stand: `Authorization`, `X-ClickHouse-User` with `-Key`, or the
/// parameters. ClickHouse has an order among them; a request with two is refused, as nobody means it.
fn given(headers: &HeaderMap, parameters: &mut Parameters) -> Result<Given, Refused> {
    let header = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let is_doubled = |name: &str| headers.get_all(name).iter().count() > 1;
    if ["authorization", "x-clickhouse-user", "x-clickhouse-key"].into_iter().any(is_doubled) {
        return Err(Refused::ambiguous("credentials are given more than once"));
    }
    let in_parameters = (parameters.take("user"), parameters.take("password"));
    let in_headers = (header("x-clickhouse-user"), header("x-clickhouse-key"));
    let basic = header("authorization");
    if headers.contains_key("x-clickhouse-ssl-certificate-auth") {
        return Err(Refused::ambiguous("the guard does not take certificates for a user's name"));
    }
    let places =
        [in_parameters.0.is_some() || in_parameters.1.is_some(), in_headers.0.is_some() || in_headers.1.is_some()];
    if usize::from(basic.is_some()) + places.iter().filter(|is_there| **is_there).count() > 1 {
        return Err(Refused::ambiguous("credentials are given in several places: headers, Authorization, parameters"));
    }
    if let Some(basic) = basic {
        return from_basic(&basic);
    }
    let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let user = in_headers.0.or(text(in_parameters.0)).filter(|user| !user.is_empty());
    let password = in_headers.1.or(text(in_parameters.1)).unwrap_or_default();
    Ok(Given { user: user.unwrap_or_else(|| DEFAULT_USER.to_owned()), password })
}

fn from_basic(value: &str) -> Result<Given, Refused> {
    let unreadable = || Refused::ambiguous("the guard takes Authorization: Basic only");
    let (scheme, rest) = value.split_once(' ').ok_or_else(unreadable)?;
    let bytes =
        BASE64.decode(rest.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic")).ok_or_else(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable())?;
    let (user, password) = text.split_once(':').ok_or_else(unreadable)?;
    let user = if user.is_empty() { DEFAULT_USER } else { user };
    Ok(Given { user: user.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants() -> Tenants {
        let text = "[tenants.grafana]\nclass = \"dashboard\"\npassword = \"secret\"\nuser = \"reader\"\n\
                    [tenants.open]\nclass = \"dashboard\"\n";
        Tenants::of(&GuardPolicy::parse(text).unwrap()).unwrap()
    }

    fn ask(tenants: &Tenants, query: &str, headers: &[(&'static str, &str)]) -> Result<Identity, Refused> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        tenants.identify(&map, &mut Parameters::parse(query))
    }

    #[test]
    fn a_tenant_comes_in_with_its_password_and_runs_as_its_user() {
        let tenants = tenants();
        for (query, headers) in [
            ("user=grafana&password=secret", vec![]),
            ("", vec![("x-clickhouse-user", "grafana"), ("x-clickhouse-key", "secret")]),
            ("", vec![("authorization", "Basic Z3JhZmFuYTpzZWNyZXQ=")]),
        ] {
            let identity = ask(&tenants, query, &headers).unwrap();
            assert_eq!(
                (identity.tenant.as_str(), identity.user.as_str(), identity.is_known),
                ("grafana", "reader", true)
            );
        }
        for query in ["user=grafana&password=wrong", "user=reader&password=secret", "", "user=open", "user=grafana"] {
            assert_eq!(ask(&tenants, query, &[]).unwrap_err().code, 516, "{query}");
        }
    }

    #[test]
    fn credentials_in_two_places_are_refused() {
        let tenants = tenants();
        let basic = ("authorization", "Basic Z3JhZmFuYTpzZWNyZXQ=");
        assert!(ask(&tenants, "user=other", &[basic]).is_err());
        assert!(ask(&tenants, "", &[basic, ("x-clickhouse-user", "other")]).is_err());
        assert!(ask(&tenants, "", &[basic, basic]).is_err());
        assert!(ask(&tenants, "", &[("authorization", "Bearer x")]).is_err());
    }

    #[test]
    fn without_tenants_the_user_is_the_tenant() {
        let nobody = Tenants::of(&GuardPolicy::default()).unwrap();
        let identity = ask(&nobody, "user=anna&password=x", &[]).unwrap();
        assert_eq!((identity.tenant.as_str(), identity.password.expose(), identity.is_known), ("anna", "x", false));
        assert_eq!(ask(&nobody, "", &[]).unwrap().user, "default");
    }
}
