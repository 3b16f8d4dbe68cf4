//! Who calls: the access token verified by every service itself, the rule of the method, the caller's rights.

mod caller;
mod keys;
mod layer;
mod token;

pub use caller::Caller;
pub use keys::{Fetch, Keys, mesh_keys};
pub use layer::{Auth, AuthLayer};
pub use token::{AUDIENCE, Claims, Kind, TOKEN_TYPE, Verifier};

use tonic::Code;

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
