//! The policy as a file for `users.d`, for engines that cannot make users with SQL. Workloads are SQL there too.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use super::desired::{Desired, SLOTS_RESOURCE};
use super::setting::{Setting, SettingValue, Writability};
use super::statements::{password_hash, workload_statement};
use crate::local::{LocalGuard, Users};

impl Desired {
    /// Profiles, quotas, roles and users as `users.xml` holds them; to be put into `users.d` beside the server's own.
    /// It holds hashes of passwords.
    #[must_use]
    pub fn users_xml(&self) -> String {
        let mut xml =
            String::from("<!-- Written by `floodmark guard apply`: changes here are lost. -->\n<clickhouse>\n");
        section(&mut xml, "profiles", self.profiles.iter(), |xml, settings| {
            for (name, setting) in settings {
                if let Some(value) = &setting.value {
                    line(xml, 6, name, &escaped(value));
                }
            }
            xml.push_str("      <constraints>\n");
            for (name, setting) in settings {
                line(xml, 8, name, &constraint(setting));
            }
            xml.push_str("      </constraints>\n");
        });
        section(&mut xml, "quotas", self.quotas.iter(), |xml, quota| {
            xml.push_str("      <interval>\n");
            line(xml, 8, "duration", "3600");
            for (name, most) in [("queries", quota.queries_max), ("read_bytes", quota.read_bytes_max)] {
                if let Some(most) = most {
                    line(xml, 8, name, &most.to_string());
                }
            }
            xml.push_str("      </interval>\n");
        });
        section(&mut xml, "roles", self.roles.iter(), |xml, grants| grants_xml(xml, grants.iter().map(String::as_str)));
        section(&mut xml, "users", self.users.iter(), |xml, user| {
            line(xml, 6, "password_sha256_hex", &password_hash(user).to_ascii_lowercase());
            line(xml, 6, "profile", &user.profile);
            line(xml, 6, "quota", user.quota.as_deref().unwrap_or("default"));
            grants_xml(xml, std::iter::once(user.role.as_str()));
        });
        xml.push_str("</clickhouse>\n");
        xml
    }

    /// For a local engine.
    ///
    /// # Errors
    /// Names of users that are the engine's own: in files the two would be merged into one that is neither.
    pub fn local_guard(&self) -> Result<LocalGuard, Vec<String>> {
        let taken: Vec<String> =
            self.users.keys().filter(|name| Users::NAMES.contains(&name.as_str())).cloned().collect();
        if taken.is_empty() {
            Ok(LocalGuard { users_xml: self.users_xml(), workload_statements: self.workload_statements() })
        } else {
            Err(taken)
        }
    }

    /// Statements that make the workloads on a server that has none of them, in order.
    #[must_use]
    pub fn workload_statements(&self) -> Vec<String> {
        let mut all: Vec<String> = self.workloads.iter().map(|workload| workload_statement(workload).sql).collect();
        if self.slots {
            all.push(format!("CREATE RESOURCE IF NOT EXISTS {SLOTS_RESOURCE} (QUERY)"));
        }
        all
    }
}

fn section<'a, T: 'a>(
    xml: &mut String,
    name: &str,
    objects: impl Iterator<Item = (&'a String, &'a T)>,
    write: impl Fn(&mut String, &T),
) {
    // Writing to a String cannot fail.
    let _ = writeln!(xml, "  <{name}>");
    for (object_name, object) in objects {
        let _ = writeln!(xml, "    <{object_name}>");
        write(xml, object);
        let _ = writeln!(xml, "    </{object_name}>");
    }
    let _ = writeln!(xml, "  </{name}>");
}

/// Names are checked: letters, digits, `_` and `-`.
fn line(xml: &mut String, indent: usize, name: &str, content: &str) {
    let _ = writeln!(xml, "{:indent$}<{name}>{content}</{name}>", "");
}

fn grants_xml<'a>(xml: &mut String, grants: impl Iterator<Item = &'a str>) {
    xml.push_str("      <grants>\n");
    for grant in grants {
        line(xml, 8, "query", &format!("GRANT {}", escape(grant)));
    }
    xml.push_str("      </grants>\n");
}

fn constraint(setting: &Setting) -> String {
    let limit = |name: &str, value: &Option<SettingValue>| {
        value.as_ref().map_or_else(String::new, |value| format!("<{name}>{}</{name}>", escaped(value)))
    };
    let writability = match setting.writability {
        Writability::Writable => "",
        Writability::Const => "<const/>",
        Writability::ChangeableInReadonly => "<changeable_in_readonly/>",
    };
    format!("{}{}{writability}", limit("min", &setting.min), limit("max", &setting.max))
}

fn escaped(value: &SettingValue) -> String {
    escape(&value.as_shown())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Writes a file so that a reader sees the old text or the new one, never a part; readable by its owner only. Says
/// whether it was different.
///
/// # Errors
/// The directory cannot be written.
pub fn write_private_file(path: &Path, text: &str) -> std::io::Result<bool> {
    if std::fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(false);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(true)
}
