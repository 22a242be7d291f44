//! Passwords of the tenants.

use std::collections::BTreeMap;

use super::GuardPolicy;
use super::check::{Findings, Hole};
use crate::config::Secret;

impl GuardPolicy {
    /// Passwords by tenant. A tenant that names none is left out: that is a hole of its own.
    ///
    /// # Errors
    /// Every file that cannot be read or is empty, as holes.
    pub fn passwords(&self) -> Result<BTreeMap<String, Secret>, Vec<Hole>> {
        let mut findings = Findings::default();
        let mut passwords = BTreeMap::new();
        for (name, tenant) in &self.tenants {
            let key = format!("tenants.{name}.password_file");
            match Secret::resolve(tenant.password.as_ref(), tenant.password_file.as_deref()) {
                Ok(Some(password)) if password.expose().is_empty() => {
                    findings.hole(
                        key,
                        "gives an empty password",
                        "anybody could ask in its name",
                        "a file with a password",
                    );
                }
                Ok(Some(password)) => {
                    passwords.insert(name.clone(), password);
                }
                Ok(None) => {}
                Err(error) => {
                    findings.hole(key, error.to_string(), "its user cannot be made", "a file that can be read")
                }
            }
        }
        if findings.holes.is_empty() { Ok(passwords) } else { Err(findings.holes) }
    }
}
