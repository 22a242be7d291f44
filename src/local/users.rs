//! The users of the local ClickHouse, with passwords made at start, and what each may do.

use std::fmt::Write as _;
use std::io::Read as _;

use sha2::{Digest as _, Sha256};

/// A user's name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub user: &'static str,
    /// Password in clear. Only the hash is written to disk, but for that of `reader`, which the service's user may read.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, redacted)", self.user)
    }
}

/// The users that are made for Floodmark. The engine's own `default` user has no password and next to no rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users {
    /// May do everything: migrations, retention, `system` tables, killing queries.
    pub admin: Credentials,
    /// May read and insert in Floodmark's database.
    pub writer: Credentials,
    /// May only read Floodmark's database.
    pub reader: Credentials,
    /// May only read Floodmark's database, as which the service asks questions of others. Its profile lets the service say
    /// `readonly = 1` beside each of them, which that of `reader`, being read-only already, does not.
    pub desk: Credentials,
}

impl Credentials {
    /// The user that may only read.
    pub(super) fn reader(password: String) -> Self {
        Self { user: "reader", password }
    }

    /// The user that questions of others are asked as.
    pub(super) fn desk(password: String) -> Self {
        Self { user: "desk", password }
    }
}

impl Users {
    /// Names that are taken in every local engine.
    pub const NAMES: [&str; 5] = ["default", "admin", "writer", "reader", "desk"];

    /// Makes passwords from the operating system's random source.
    pub(super) fn generate() -> std::io::Result<Self> {
        Ok(Self {
            admin: Credentials { user: "admin", password: random_password()? },
            writer: Credentials { user: "writer", password: random_password()? },
            reader: Credentials::reader(random_password()?),
            desk: Credentials::desk(random_password()?),
        })
    }

    /// The engine's `users.xml`. `databases` is a database name, or the common start of several followed by `*`.
    ///
    /// Users, profiles and grants live in this file because the engine refuses `CREATE USER`. A user without
    /// `<grants>` would have nearly all rights, so each has them.
    pub(super) fn to_xml(&self, databases: &str) -> String {
        let read = format!("GRANT SELECT, SHOW ON {databases}.*");
        let write = format!("GRANT SELECT, SHOW, INSERT ON {databases}.*");
        // The passwordless user is the engine's own session, which opens the listener and waits on standard input.
        let own_session = ["GRANT SYSTEM LISTEN ON *.*", "GRANT READ ON FILE", "GRANT CREATE TEMPORARY TABLE ON *.*"];
        let mut xml = String::from("<clickhouse>\n<profiles>\n<default/>\n");
        // 2, not 1: readers may set limits of their own for a query, but never write.
        xml.push_str("<reader><readonly>2</readonly></reader>\n</profiles>\n<quotas><default/></quotas>\n<users>\n");
        user(&mut xml, "default", "<password></password>", "default", &own_session);
        // Tables that hold nothing; `system.one` and the catalogue are everybody's anyway.
        let asked = [read.as_str(), "GRANT SELECT ON system.numbers", "GRANT SELECT ON system.numbers_mt"];
        for (credentials, profile, grants) in [
            (&self.admin, "default", &["GRANT ALL ON *.* WITH GRANT OPTION"][..]),
            (&self.writer, "default", &[write.as_str()]),
            (&self.reader, "reader", &[read.as_str()]),
            (&self.desk, "default", &asked),
        ] {
            let hash = hex(&Sha256::digest(&credentials.password));
            let password = format!("<password_sha256_hex>{hash}</password_sha256_hex>");
            user(&mut xml, credentials.user, &password, profile, grants);
        }
        xml.push_str("</users>\n</clickhouse>\n");
        xml
    }
}

fn user(xml: &mut String, name: &str, password: &str, profile: &str, grants: &[&str]) {
    let queries: String = grants.iter().map(|grant| format!("<query>{grant}</query>")).collect();
    // Writing to a String cannot fail.
    let _ = writeln!(
        xml,
        "<{name}>{password}<networks><ip>127.0.0.1</ip><ip>::1</ip></networks><profile>{profile}</profile>\
         <quota>default</quota><grants>{queries}</grants></{name}>"
    );
}

/// 128 random bits as hexadecimal text.
///
/// # Errors
/// The random source of the operating system cannot be read.
pub fn random_password() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
