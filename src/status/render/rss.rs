//! `history.rss`: RSS 2.0. It has no word for a revision: the moment of it is Atom's.

use super::{PublicFile, entry, moment};
use crate::status::Board;
use crate::xml_text::escaped;

/// The feed.
pub(super) fn file(board: &Board) -> PublicFile {
    let page = &board.page;
    let entries = entry::all(board);
    let updated = entries.iter().map(|entry| entry.updated).fold(board.updated_at, Ord::max);
    let about = format!("What happened to {}", page.name);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rss version=\"2.0\" xmlns:atom=\"http://www.w3.org/2005/Atom\">\n\
         <channel>\n<title>{} status</title>\n<link>{url}</link>\n<description>{}</description>\n<language>en</language>\n\
         <lastBuildDate>{}</lastBuildDate>\n\
         <atom:link rel=\"self\" type=\"application/rss+xml\" href=\"{url}/history.rss\"/>\n",
        escaped(&page.name),
        escaped(page.description.as_ref().unwrap_or(&about)),
        moment::rfc_2822(updated),
        url = escaped(&page.url),
    );
    for entry in &entries {
        xml += &format!(
            "<item>\n<title>{}</title>\n<link>{}</link>\n<guid isPermaLink=\"false\">{}</guid>\n<pubDate>{}</pubDate>\n\
             <atom:updated>{}</atom:updated>\n<description>{}</description>\n</item>\n",
            escaped(&entry.title),
            escaped(&entry.link),
            escaped(&entry.id),
            moment::rfc_2822(entry.published),
            moment::iso(entry.updated),
            escaped(&entry.content),
        );
    }
    xml += "</channel>\n</rss>\n";
    PublicFile::new("history.rss", "application/rss+xml; charset=utf-8", xml)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::samples::board;

    #[test]
    fn the_feed_of_an_ordinary_bad_day() {
        let mut board = board();
        board.incidents.truncate(1);
        board.maintenances.clear();
        insta::assert_snapshot!(String::from_utf8(file(&board).body).unwrap());
    }
}
