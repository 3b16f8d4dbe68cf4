//! Who calls: the access token verified by every service itself, the rule of the method, the caller's rights.

mod caller;
mod keys;
mod layer;
mod token;

pub use caller::Caller;
pub use keys::{Fetch, Keys, mesh_keys};
pub use layer::{Auth, AuthLayer};
pub use token::{AUDIENCE, Claims, Kind, TOKEN_TYPE, Verifier};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::Refusal;

pub(crate) fn token_missing() -> Refusal {
    Refusal::new(
        Code::Unauthenticated,
        "TOKEN_MISSING",
        "hãy đăng nhập: yêu cầu này cần mã truy cập",
        "sign in: this call needs an access token",
    )
}

pub(crate) fn token_invalid() -> Refusal {
    Refusal::new(
        Code::Unauthenticated,
        "TOKEN_INVALID",
        "mã truy cập không hợp lệ, hãy đăng nhập lại",
        "the access token is not valid, sign in again",
    )
}

pub(crate) fn token_expired() -> Refusal {
    Refusal::new(
        Code::Unauthenticated,
        "TOKEN_EXPIRED",
        "mã truy cập đã hết hạn, hãy làm mới",
        "the access token has expired, refresh it",
    )
}

pub(crate) fn session_ended() -> Refusal {
    Refusal::new(
        Code::Unauthenticated,
        "TOKEN_INVALID",
        "phiên làm việc đã kết thúc, hãy đăng nhập lại",
        "the session has ended, sign in again",
    )
}

pub(crate) fn permission_missing(permission: &str) -> Refusal {
    Refusal::new(
        Code::PermissionDenied,
        "PERMISSION_MISSING",
        format!("bạn không có quyền {permission}"),
        format!("you do not have the permission {permission}"),
    )
}

pub(crate) fn outside_scope(permission: &str) -> Refusal {
    Refusal::new(
        Code::PermissionDenied,
        "OUTSIDE_SCOPE",
        format!("quyền {permission} của bạn không bao gồm đơn vị này"),
        format!("your permission {permission} does not cover this unit"),
    )
}

pub(crate) fn not_everywhere(permission: &str) -> Refusal {
    Refusal::new(
        Code::PermissionDenied,
        "OUTSIDE_SCOPE",
        format!("việc này cần quyền {permission} trên toàn Thành phố"),
        format!("this needs the permission {permission} in the whole city"),
    )
}

const DIRECTORY_UNAVAILABLE: &str = "DIRECTORY_UNAVAILABLE";

pub(crate) fn directory_unavailable() -> Refusal {
    Refusal::new(
        Code::Unavailable,
        DIRECTORY_UNAVAILABLE,
        "danh mục quyền chưa được nạp, hãy thử lại",
        "rights are not loaded yet, try again",
    )
}

/// Whether a service says that it has just started and knows nobody's rights yet: it is not broken.
pub(crate) fn is_directory_unavailable(status: &Status) -> bool {
    status.code() == Code::Unavailable
        && status
            .get_details_error_info()
            .is_some_and(|info| info.reason == DIRECTORY_UNAVAILABLE)
}
