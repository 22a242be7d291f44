//! `history.atom`: RFC 4287.

use super::{PublicFile, entry, moment};
use crate::status::Board;
use crate::xml_text::escaped;

/// The feed.
pub(super) fn file(board: &Board) -> PublicFile {
    let page = &board.page;
    let entries = entry::all(board);
    let updated = entries.iter().map(|entry| entry.updated).fold(board.updated_at, Ord::max);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feed xml:lang=\"en\" xmlns=\"http://www.w3.org/2005/Atom\">\n\
         <id>{}</id>\n<title>{} status</title>\n<updated>{}</updated>\n<author><name>{}</name></author>\n\
         <link rel=\"alternate\" type=\"text/html\" href=\"{url}\"/>\n\
         <link rel=\"self\" type=\"application/atom+xml\" href=\"{url}/history.atom\"/>\n",
        escaped(&entry::tag(page, "/history")),
        escaped(&page.name),
        moment::iso(updated),
        escaped(&page.name),
        url = escaped(&page.url),
    );
    for entry in &entries {
        xml += &format!(
            "<entry>\n<id>{}</id>\n<published>{}</published>\n<updated>{}</updated>\n<title>{}</title>\n\
             <link rel=\"alternate\" type=\"text/html\" href=\"{}\"/>\n<content type=\"html\">{}</content>\n</entry>\n",
            escaped(&entry.id),
            moment::iso(entry.published),
            moment::iso(entry.updated),
            escaped(&entry.title),
            escaped(&entry.link),
            escaped(&entry.content),
        );
    }
    xml += "</feed>\n";
    PublicFile::new("history.atom", "application/atom+xml; charset=utf-8", xml)
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
