//! Pages of lists: how many rows are asked for, and opaque tokens that hold the key of the last row given.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

use crate::Refusal;

/// The number of rows asked for: `default` when absent, refused below 1 and above `most`.
pub fn size(asked: i32, default: u16, most: u16) -> Result<usize, Refusal> {
    let size = if asked == 0 {
        i32::from(default)
    } else {
        asked
    };
    if (1..=i32::from(most)).contains(&size) {
        return Ok(size.unsigned_abs() as usize);
    }
    Err(Refusal::invalid(
        "page_size",
        format!("phải từ 1 đến {most}"),
        format!("must be from 1 to {most}"),
    ))
}

/// The key that a token holds; nothing on the first page.
pub fn after<K: DeserializeOwned>(token: &str) -> Result<Option<K>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let key = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    key.map(Some).ok_or_else(|| {
        Refusal::invalid(
            "page_token",
            "không phải mã trang của danh sách này",
            "is not a page token of this list",
        )
    })
}

/// Cuts off the one row read beyond the page; answers the token of the next page, empty on the last.
pub fn cut<T, K: Serialize>(rows: &mut Vec<T>, size: usize, key: impl Fn(&T) -> K) -> String {
    if rows.len() <= size {
        return String::new();
    }
    rows.truncate(size);
    rows.last()
        .and_then(|row| serde_json::to_vec(&key(row)).ok())
        .map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_has_a_default_and_limits() {
        assert_eq!(size(0, 50, 200).unwrap(), 50);
        assert_eq!(size(200, 50, 200).unwrap(), 200);
        assert!(size(201, 50, 200).is_err());
        assert!(size(-1, 50, 200).is_err());
    }

    #[test]
    fn a_token_leads_on_from_the_last_row() {
        let mut rows = vec![(1, "a"), (2, "b"), (3, "c")];
        let token = cut(&mut rows, 2, |row| (row.0, row.1.to_owned()));
        assert_eq!(rows.len(), 2);
        let key: Option<(i32, String)> = after(&token).unwrap();
        assert_eq!(key, Some((2, "b".to_owned())));
        assert_eq!(cut(&mut rows, 2, |row| row.0), "");
        assert_eq!(after::<(i32, String)>("").unwrap(), None);
        assert!(after::<(i32, String)>("§").is_err());
        assert!(after::<i32>(&token).is_err());
    }
}
