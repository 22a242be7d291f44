//! What feeds tell: an entry an incident or announced work, revised in place.

use jiff::tz::TimeZone;

use super::moment;
use crate::model::Timestamp;
use crate::status::{Board, Maintenance, MaintenanceStage, PageInfo};
use crate::xml_text::escaped;

/// Entries of a feed: those that changed last.
const ENTRIES_MAX: usize = 50;

/// An entry of a feed.
pub(super) struct Entry {
    /// Identity that stays: `tag:HOST,2005:Incident/ID`.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) link: String,
    pub(super) published: Timestamp,
    pub(super) updated: Timestamp,
    /// HTML.
    pub(super) content: String,
}

/// What was said of announced work when it came to a stage.
pub(super) struct StageSaid {
    pub(super) stage: MaintenanceStage,
    /// Tells its update from the others of the work.
    pub(super) letter: char,
    pub(super) at: Timestamp,
    pub(super) body: String,
}

/// What was said of announced work so far, the newest first.
pub(super) fn stages(work: &Maintenance, now: Timestamp) -> Vec<StageSaid> {
    let said = |stage, letter, at, body: &str| StageSaid { stage, letter, at, body: body.to_owned() };
    let mut so_far = vec![said(MaintenanceStage::Scheduled, 's', work.created_at, &work.body)];
    let called_off_at = work.is_cancelled.then_some(work.updated_at);
    let end = called_off_at.unwrap_or(work.until);
    if now >= work.from && end > work.from {
        so_far.push(said(MaintenanceStage::InProgress, 'p', work.from, "The maintenance is in progress."));
    }
    if work.stage(now) == MaintenanceStage::Completed {
        let body = if work.is_cancelled { "The maintenance was called off." } else { "The maintenance is over." };
        so_far.push(said(MaintenanceStage::Completed, 'c', end, body));
    }
    so_far.reverse();
    so_far
}

/// Where announced work stands on the page.
pub(super) fn work_link(page: &PageInfo, id: &str) -> String {
    format!("{}/index.html#m-{id}", page.url)
}

/// Where the page of an incident is.
pub(super) fn link(page: &PageInfo, id: &str) -> String {
    format!("{}/incidents/{id}.html", page.url)
}

/// Identity of a thing of the page, as RFC 4151 has it; it stays when the page moves to another path.
pub(super) fn tag(page: &PageInfo, of: &str) -> String {
    format!("tag:{},2005:{of}", host(&page.url))
}

/// The entries, those that changed last first.
pub(super) fn all(board: &Board) -> Vec<Entry> {
    let zone = moment::zone(&board.page.time_zone);
    let incidents = board.incidents.iter().map(|incident| {
        let updates = incident.updates.iter();
        let told = updates.map(|update| said(update.created_at, &zone, update.status.words(), &update.body));
        Entry {
            id: tag(&board.page, &format!("Incident/{}", incident.id)),
            title: incident.name.clone(),
            link: link(&board.page, &incident.id),
            published: incident.created_at,
            updated: incident.updated_at,
            content: told.collect(),
        }
    });
    let works = board.maintenances.iter().map(|work| of_work(board, work, &zone));
    let mut entries: Vec<Entry> = incidents.chain(works).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.updated));
    entries.truncate(ENTRIES_MAX);
    entries
}

fn of_work(board: &Board, work: &Maintenance, zone: &TimeZone) -> Entry {
    let stages = stages(work, board.made_at);
    let when = format!(
        "<p>Scheduled maintenance: {} to {}</p>",
        escaped(&moment::words(work.from, zone)),
        escaped(&moment::words(work.until, zone))
    );
    let told = stages.iter().map(|stage| said(stage.at, zone, stage_words(stage.stage), &stage.body));
    Entry {
        id: tag(&board.page, &format!("Incident/{}", work.id)),
        title: work.name.clone(),
        link: work_link(&board.page, &work.id),
        published: work.created_at,
        updated: stages.iter().map(|stage| stage.at).fold(work.updated_at, Timestamp::max),
        content: when + &told.collect::<String>(),
    }
}

fn stage_words(stage: MaintenanceStage) -> &'static str {
    match stage {
        MaintenanceStage::Scheduled => "Scheduled",
        MaintenanceStage::InProgress => "In progress",
        MaintenanceStage::Completed => "Completed",
    }
}

/// An update as HTML: when, where it stands then, and the words; a blank line ends a paragraph.
fn said(at: Timestamp, zone: &TimeZone, status: &str, body: &str) -> String {
    let lines: Vec<&str> = body.lines().collect();
    let paragraphs = lines.split(|line| line.trim().is_empty()).filter(|paragraph| !paragraph.is_empty());
    let paragraphs: Vec<String> =
        paragraphs.map(|lines| lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("<br>")).collect();
    let when = escaped(&moment::words(at, zone));
    format!("<p><small>{when}</small><br><strong>{status}</strong> - {}</p>", paragraphs.join("</p><p>"))
}

/// The host in a URL, without its port.
fn host(url: &str) -> String {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    let named = authority.rsplit('@').next().unwrap_or_default();
    let name = if named.starts_with('[') { named } else { named.split(':').next().unwrap_or_default() };
    name.chars().filter(|character| character.is_ascii_alphanumeric() || matches!(character, '.' | '-')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::samples::{at, board};

    #[test]
    fn hosts_are_found_in_urls() {
        for (url, expected) in [
            ("https://status.example.com", "status.example.com"),
            ("http://127.0.0.1:8091", "127.0.0.1"),
            ("https://user@example.com:8443/status?x#y", "example.com"),
        ] {
            assert_eq!(host(url), expected);
        }
    }

    #[test]
    fn words_become_paragraphs_and_no_markup() {
        let body = "One <b>\ntwo\r\n\r\n\n&amp; three";
        let html = said(at("2026-04-29T12:00:00Z"), &TimeZone::UTC, "Resolved", body);
        let expected = "<p><small>29 April 2026, 12:00 UTC</small><br><strong>Resolved</strong> - One &lt;b&gt;<br>two</p>\
            <p>&amp;amp; three</p>";
        assert_eq!(html, expected);
    }

    #[test]
    fn entries_are_revised_in_place_as_work_goes_on() {
        let mut board = board();
        let entry = |board: &Board| all(board).into_iter().find(|entry| entry.id.ends_with("/mnt0001")).unwrap();
        let told = |board: &Board| (entry(board).updated, entry(board).content.matches("<strong>").count());
        assert_eq!(told(&board), (at("2026-04-25T09:00:00Z"), 1));
        board.made_at = at("2026-05-02T02:00:00Z");
        assert_eq!(told(&board), (at("2026-05-02T02:00:00Z"), 2));
        board.made_at = at("2026-05-02T03:00:00Z");
        assert_eq!(told(&board), (at("2026-05-02T03:00:00Z"), 3));
        assert_eq!(all(&board)[0].id, "tag:status.example.com,2005:Incident/mnt0001", "what changed last is first");
    }

    #[test]
    fn work_that_is_called_off_before_it_begins_was_never_under_way() {
        let mut work = board().maintenances.remove(0);
        work.is_cancelled = true;
        work.updated_at = at("2026-05-01T00:00:00Z");
        let letters = |now: &str| stages(&work, at(now)).iter().map(|said| said.letter).collect::<String>();
        assert_eq!(letters("2026-05-01T00:00:01Z"), "cs");
        assert_eq!(letters("2026-05-02T02:30:00Z"), "cs");
    }
}
