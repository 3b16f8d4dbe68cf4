//! Photos: taken in by their own bytes, not by what they claim to be, and cleared of where and with what they were taken.

use bytes::Bytes;
use chassis::objects::Objects;
use img_parts::{png::Png, riff::RiffContent, webp::WebP};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::error::Error;

/// The largest photo taken in.
pub const LARGEST: usize = 8 * 1024 * 1024;

/// A photo's bytes without metadata, and their type.
pub fn clean(content: Bytes) -> Result<(&'static str, Bytes), Error> {
    let cleaned = if content.len() > LARGEST {
        None
    } else if content.starts_with(&[0xff, 0xd8, 0xff]) {
        jpeg(&content).map(|content| ("image/jpeg", content))
    } else if content.starts_with(b"\x89PNG\r\n\x1a\n") {
        png(content).map(|content| ("image/png", content))
    } else if content.starts_with(b"RIFF") && content.get(8..12) == Some(b"WEBP") {
        webp(content).map(|content| ("image/webp", content))
    } else {
        None
    };
    cleaned.ok_or_else(|| {
        Error::invalid(
            "content",
            "phải là ảnh JPEG, PNG hoặc WebP còn nguyên vẹn, tối đa 8 MiB",
            "must be an undamaged JPEG, PNG or WebP of at most 8 MiB",
        )
    })
}

/// What decodes a JPEG, up to its end: phones put further pictures and videos behind it, each with a place of its own.
/// None if it has no end.
fn jpeg(content: &[u8]) -> Option<Bytes> {
    let mut rest = content.strip_prefix(&[0xff, 0xd8])?;
    let mut kept = vec![0xff, 0xd8];
    let mut scanning = false;
    loop {
        let (length, decodes) = match rest {
            [0xff, 0xd9, ..] => {
                kept.extend([0xff, 0xd9]);
                return Some(kept.into());
            }
            // Within a scan: an escaped 0xff, and restarts.
            [0xff, 0x00 | 0xd0..=0xd7, ..] => (2, scanning),
            // Markers may be filled up.
            [0xff, 0xff, ..] => (1, false),
            [0xff, marker, high, low, ..] => {
                scanning = *marker == 0xda;
                // Frames, tables and scans, APP0 (JFIF) and APP14 (colours). The other APPn and comments hold place,
                // camera and editor.
                let decodes = matches!(marker, 0xc0..=0xcf | 0xda..=0xe0 | 0xee);
                (2 + usize::from(u16::from_be_bytes([*high, *low])), decodes)
            }
            _ => (rest.iter().position(|byte| *byte == 0xff)?, scanning),
        };
        let (part, further) = rest.split_at_checked(length).filter(|_| length > 0)?;
        if decodes {
            kept.extend_from_slice(part);
        }
        rest = further;
    }
}

/// What decodes a PNG; what stands behind its end is not read.
fn png(content: Bytes) -> Option<Bytes> {
    let mut png = Png::from_bytes(content).ok()?;
    png.chunks_mut().retain(|chunk| {
        matches!(
            &chunk.kind(),
            b"IHDR" | b"PLTE" | b"IDAT" | b"IEND" | b"tRNS" | b"gAMA" | b"sRGB" | b"cHRM"
        )
    });
    Some(png.encoder().bytes())
}

/// What decodes a WebP; what stands behind it is not read.
fn webp(content: Bytes) -> Option<Bytes> {
    const ALPHA_AND_ANIMATION: u8 = 0x12;
    let mut webp = WebP::from_bytes(content).ok()?;
    webp.chunks_mut().retain(|chunk| {
        matches!(
            &chunk.id(),
            b"VP8X" | b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" | b"ANMF"
        )
    });
    for chunk in webp.chunks_mut() {
        // The header says what comes.
        if &chunk.id() == b"VP8X"
            && let RiffContent::Data(data) = chunk.content_mut()
        {
            let mut header = data.to_vec();
            *header.first_mut()? &= ALPHA_AND_ANIMATION;
            *data = header.into();
        }
    }
    Some(webp.encoder().bytes())
}

/// A photo of an item.
#[derive(Clone, Debug)]
pub struct Photo {
    /// Its id.
    pub id: Uuid,
    /// Its media type.
    pub content_type: String,
    /// Its size in bytes.
    pub size: i64,
}

/// Announces a photo before its bytes are stored.
pub async fn announce(db: impl PgExecutor<'_>, photo: &Photo) -> Result<(), Error> {
    sqlx::query!(
        "INSERT INTO photo (id, content_type, size) VALUES ($1, $2, $3)",
        photo.id,
        photo.content_type,
        photo.size
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Notes that its bytes are stored.
pub async fn mark_stored(db: &mut PgConnection, id: Uuid) -> Result<(), Error> {
    sqlx::query!("UPDATE photo SET is_stored = true WHERE id = $1", id)
        .execute(db)
        .await?;
    Ok(())
}

/// Gives unused photos to an item; refuses unless all are there and unused.
pub async fn attach(db: &mut PgConnection, feedback_id: Uuid, ids: &[Uuid]) -> Result<(), Error> {
    let attached = sqlx::query!(
        "UPDATE photo SET feedback_id = $1 WHERE id = ANY($2) AND feedback_id IS NULL AND is_stored",
        feedback_id,
        ids
    )
    .execute(db)
    .await?
    .rows_affected();
    if attached == ids.len() as u64 {
        return Ok(());
    }
    Err(Error::invalid(
        "photo_ids",
        "có ảnh không tồn tại, đã hết hạn hoặc đã được dùng; hãy tải ảnh lên lại",
        "a photo is unknown, expired or already used; upload it again",
    ))
}

/// The photos of an item.
pub async fn of(db: &mut PgConnection, feedback_id: Uuid) -> Result<Vec<Photo>, Error> {
    Ok(sqlx::query_as!(
        Photo,
        "SELECT id, content_type, size FROM photo WHERE feedback_id = $1 ORDER BY id",
        feedback_id
    )
    .fetch_all(db)
    .await?)
}

/// The key of a photo's bytes.
#[must_use]
pub fn key(id: Uuid) -> String {
    format!("photos/{id}")
}

/// Deletes one photo that nobody used within an hour; false if there is none. The row goes last, and stays locked
/// meanwhile, so that nothing is ever left behind and nobody files a photo that is going.
pub async fn prune_one(db: &PgPool, objects: &Objects) -> anyhow::Result<bool> {
    let mut tx = db.begin().await?;
    let id = sqlx::query_scalar!(
        "SELECT id FROM photo WHERE feedback_id IS NULL AND create_time < now() - interval '1 hour'
        ORDER BY create_time LIMIT 1 FOR UPDATE SKIP LOCKED"
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(id) = id else {
        return Ok(false);
    };
    objects.delete(&key(id)).await?;
    sqlx::query!("DELETE FROM photo WHERE id = $1", id)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXIF: &[u8] = b"\xff\xe1\x00\x0cExif\0\0here";
    const FRAME: &[u8] = b"\xff\xe0\x00\x07JFIF\0";

    fn holds(content: &[u8], text: &[u8]) -> bool {
        content.windows(text.len()).any(|part| part == text)
    }

    #[test]
    fn place_and_camera_are_removed_from_a_jpeg() {
        let first = b"\xff\xda\x00\x02\x11\xff\x00\x22\xff\xd0\x33";
        let table = b"\xff\xc4\x00\x03\x44";
        let second = b"\xff\xda\x00\x02\x55";
        let end = b"\xff\xd9";
        // Metadata before, between and behind the scans of a progressive picture; then a whole one, as of a live photo.
        let behind = [b"\xff\xd8", EXIF, first, end, b"ftypmp42 here"].concat();
        let photo = [
            b"\xff\xd8",
            FRAME,
            EXIF,
            first,
            EXIF,
            b"\xff",
            table,
            second,
            end,
            &behind,
        ]
        .concat();
        let (kind, cleaned) = clean(photo.into()).unwrap();
        assert_eq!(kind, "image/jpeg");
        let expected = [b"\xff\xd8", FRAME, first, table, second, end].concat();
        assert_eq!(cleaned, expected);
    }

    #[test]
    fn place_and_camera_are_removed_from_a_png() {
        let chunk = |kind: &[u8; 4], data: &'static [u8]| {
            img_parts::png::PngChunk::new(*kind, Bytes::from_static(data))
                .encoder()
                .bytes()
        };
        let parts = [
            chunk(b"IHDR", &[0; 13]),
            chunk(b"tEXt", b"here"),
            chunk(b"eXIf", b"here"),
            chunk(b"IDAT", b"picture"),
            chunk(b"IEND", b""),
            chunk(b"eXIf", b"here"),
        ];
        let photo = [b"\x89PNG\r\n\x1a\n", parts.concat().as_slice()].concat();
        let (kind, cleaned) = clean(photo.into()).unwrap();
        assert_eq!(kind, "image/png");
        assert!(holds(&cleaned, b"picture") && !holds(&cleaned, b"here"));
    }

    #[test]
    fn place_and_camera_are_removed_from_a_webp() {
        let chunks = [
            b"VP8X\x0a\0\0\0\x3e\0\0\0\x01\0\0\x01\0\0".as_slice(),
            b"ICCP\x04\0\0\0here",
            b"VP8 \x08\0\0\0picture!",
            b"EXIF\x04\0\0\0here",
            b"XMP \x04\0\0\0here",
            b"ABCD\x04\0\0\0here",
        ]
        .concat();
        let length = u32::try_from(4 + chunks.len()).unwrap().to_le_bytes();
        let photo = [b"RIFF", length.as_slice(), b"WEBP", &chunks, b"here"].concat();
        let (kind, cleaned) = clean(photo.into()).unwrap();
        assert_eq!(kind, "image/webp");
        assert!(holds(&cleaned, b"picture!") && !holds(&cleaned, b"here"));
        // Of what the header announces only alpha and animation may still come.
        assert!(holds(&cleaned, b"VP8X\x0a\0\0\0\x12\0\0\0\x01"));
    }

    #[test]
    fn a_jpeg_cut_off_anywhere_is_refused() {
        let photo = [b"\xff\xd8", FRAME, EXIF, b"\xff\xda\x00\x02\x11\xff\xd9"].concat();
        for length in 0..photo.len() {
            assert!(clean(Bytes::copy_from_slice(&photo[..length])).is_err());
        }
        assert!(clean(photo.into()).is_ok());
    }

    #[test]
    fn what_is_no_photo_is_refused() {
        for bytes in [
            &b""[..],
            b"<svg onload=alert(1)>",
            b"GIF89a",
            b"\xff\xd8\xff",
        ] {
            assert!(clean(Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
        }
    }
}
