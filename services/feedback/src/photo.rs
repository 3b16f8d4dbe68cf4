//! Photos: taken in by their own bytes, not by what they claim to be, and cleared of where and with what they were taken.

use bytes::Bytes;
use chassis::objects::Objects;
use img_parts::{ImageEXIF, ImageICC, jpeg::Jpeg, png::Png, webp::WebP};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::error::Error;

/// The largest photo taken in.
pub const LARGEST: usize = 8 * 1024 * 1024;

/// A photo's bytes without metadata, and their type.
pub fn clean(content: Bytes) -> Result<(&'static str, Bytes), Error> {
    let refuse = || {
        Error::invalid(
            "content",
            "phải là ảnh JPEG, PNG hoặc WebP còn nguyên vẹn, tối đa 8 MiB",
            "must be an undamaged JPEG, PNG or WebP of at most 8 MiB",
        )
    };
    if content.is_empty() || content.len() > LARGEST {
        return Err(refuse());
    }
    if content.starts_with(&[0xff, 0xd8, 0xff]) {
        let mut jpeg = Jpeg::from_bytes(content).map_err(|_| refuse())?;
        // APP1 to APP15 and comments hold place, camera and editor; APP0 and APP14 hold how to decode.
        jpeg.segments_mut()
            .retain(|segment| !matches!(segment.marker(), 0xe1..=0xed | 0xef | 0xfe));
        Ok(("image/jpeg", jpeg.encoder().bytes()))
    } else if content.starts_with(b"\x89PNG\r\n\x1a\n") {
        let mut png = Png::from_bytes(content).map_err(|_| refuse())?;
        png.chunks_mut().retain(|chunk| {
            matches!(
                &chunk.kind(),
                b"IHDR" | b"PLTE" | b"IDAT" | b"IEND" | b"tRNS" | b"gAMA" | b"sRGB" | b"cHRM"
            )
        });
        Ok(("image/png", png.encoder().bytes()))
    } else if content.starts_with(b"RIFF") && content.get(8..12) == Some(b"WEBP") {
        let mut webp = WebP::from_bytes(content).map_err(|_| refuse())?;
        webp.set_exif(None);
        webp.set_icc_profile(None);
        webp.chunks_mut().retain(|chunk| &chunk.id() != b"XMP ");
        Ok(("image/webp", webp.encoder().bytes()))
    } else {
        Err(refuse())
    }
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

/// Records a photo whose bytes are stored.
pub async fn add(db: &mut PgConnection, photo: &Photo) -> Result<(), Error> {
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

/// Gives unused photos to an item; refuses unless all are there and unused.
pub async fn attach(db: &mut PgConnection, feedback_id: Uuid, ids: &[Uuid]) -> Result<(), Error> {
    let attached = sqlx::query!(
        "UPDATE photo SET feedback_id = $1 WHERE id = ANY($2) AND feedback_id IS NULL",
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

/// Deletes photos that nobody used within an hour, bytes first, so that none are left without a row.
pub async fn prune(db: &PgPool, objects: &Objects) -> anyhow::Result<()> {
    let old = sqlx::query_scalar!(
        "SELECT id FROM photo WHERE feedback_id IS NULL AND create_time < now() - interval '1 hour' LIMIT 500"
    )
    .fetch_all(db)
    .await?;
    for id in old {
        objects.delete(&key(id)).await?;
        sqlx::query!(
            "DELETE FROM photo WHERE id = $1 AND feedback_id IS NULL",
            id
        )
        .execute(db)
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG of one APP0 and one EXIF segment; enough for what looks at segments only.
    fn jpeg_with_exif() -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        bytes.extend([0xff, 0xe0, 0x00, 0x07, b'J', b'F', b'I', b'F', 0]);
        bytes.extend([0xff, 0xe1, 0x00, 0x0c]);
        bytes.extend(b"Exif\0\0here");
        bytes.extend([0xff, 0xda, 0x00, 0x02, 0x11, 0x22, 0xff, 0xd9]);
        bytes
    }

    #[test]
    fn place_and_camera_are_removed() {
        let (kind, cleaned) = clean(jpeg_with_exif().into()).unwrap();
        assert_eq!(kind, "image/jpeg");
        assert!(
            !cleaned
                .windows(4)
                .any(|part| part == b"Exif" || part == b"here")
        );
        assert!(cleaned.windows(4).any(|part| part == b"JFIF"));
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
