//! What kind of document some bytes are: told from the bytes, never from what the sender says. Pure.

const ZIP_ENTRY: &[u8] = b"PK\x01\x02";
const ZIP_END: &[u8] = b"PK\x05\x06";
const ZIP_END_LENGTH: usize = 22;
/// The archive's comment, at the very end, is at most this long.
const ZIP_COMMENT: usize = 65_535;

/// The media type of a PDF, PNG, JPEG, DOCX or XLSX; none for anything else.
pub fn media_type(content: &[u8]) -> Option<&'static str> {
    if content.starts_with(b"%PDF-") {
        return Some("application/pdf");
    }
    if content.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some("image/png");
    }
    if content.starts_with(b"\xff\xd8\xff") {
        return Some("image/jpeg");
    }
    if content.starts_with(b"PK\x03\x04") {
        return office(content);
    }
    None
}

/// Tells the two Office formats apart by the files in the archive. One with macros is neither.
fn office(content: &[u8]) -> Option<&'static str> {
    let names = archive_names(content)?;
    let has = |name: &[u8]| names.iter().any(|own| own.eq_ignore_ascii_case(name));
    if !has(b"[Content_Types].xml") || names.iter().any(|name| name.ends_with(b"vbaProject.bin")) {
        return None;
    }
    if has(b"word/document.xml") {
        return Some("application/vnd.openxmlformats-officedocument.wordprocessingml.document");
    }
    if has(b"xl/workbook.xml") {
        return Some("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet");
    }
    None
}

/// The names in a ZIP archive's central directory.
fn archive_names(content: &[u8]) -> Option<Vec<&[u8]>> {
    let earliest = content.len().saturating_sub(ZIP_END_LENGTH + ZIP_COMMENT);
    let tail = content.get(earliest..)?;
    let end = earliest + tail.windows(ZIP_END.len()).rposition(|at| at == ZIP_END)?;
    let record = content.get(end..end + ZIP_END_LENGTH)?;
    let count = number(record, 10, 2)?;
    let mut at = number(record, 16, 4)?;
    let mut names = Vec::new();
    for _ in 0..count {
        let entry = content.get(at..)?;
        if !entry.starts_with(ZIP_ENTRY) {
            return None;
        }
        let length = number(entry, 28, 2)?;
        names.push(entry.get(46..46 + length)?);
        at += 46 + length + number(entry, 30, 2)? + number(entry, 32, 2)?;
    }
    Some(names)
}

fn number(content: &[u8], at: usize, length: usize) -> Option<usize> {
    let bytes = content.get(at..at.checked_add(length)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of empty files, enough for its directory to be read.
    fn archive(names: &[&str]) -> Vec<u8> {
        let mut content = b"PK\x03\x04".to_vec();
        let start = content.len();
        for name in names {
            let mut entry = [0; 46];
            entry[..4].copy_from_slice(ZIP_ENTRY);
            entry[28] = u8::try_from(name.len()).unwrap();
            content.extend(entry);
            content.extend(name.as_bytes());
        }
        let mut end = [0; ZIP_END_LENGTH];
        end[..4].copy_from_slice(ZIP_END);
        end[10] = u8::try_from(names.len()).unwrap();
        end[16] = u8::try_from(start).unwrap();
        content.extend(end);
        content
    }

    #[test]
    fn documents_are_told_by_their_bytes() {
        assert_eq!(media_type(b"%PDF-1.7 ..."), Some("application/pdf"));
        assert_eq!(media_type(b"\x89PNG\r\n\x1a\n..."), Some("image/png"));
        assert_eq!(media_type(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        let word = archive(&["[Content_Types].xml", "word/document.xml"]);
        assert!(
            media_type(&word)
                .unwrap()
                .ends_with("wordprocessingml.document")
        );
        let excel = archive(&["[Content_Types].xml", "xl/workbook.xml"]);
        assert!(media_type(&excel).unwrap().ends_with("spreadsheetml.sheet"));
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(media_type(b""), None);
        assert_eq!(media_type(b"<html>"), None);
        assert_eq!(media_type(b"MZ\x90"), None);
        assert_eq!(media_type(&archive(&["evil.exe"])), None);
        let macros = archive(&[
            "[Content_Types].xml",
            "word/document.xml",
            "word/vbaProject.bin",
        ]);
        assert_eq!(media_type(&macros), None);
    }

    #[test]
    fn broken_archives_are_refused() {
        let whole = archive(&["[Content_Types].xml", "word/document.xml"]);
        for length in 0..whole.len() {
            assert_eq!(media_type(&whole[..length]), None);
        }
    }
}
