//! What the contract says of a method's shape: whether it streams, and whether it is safe to repeat.

use std::{collections::HashMap, sync::LazyLock};

use prost_reflect::DescriptorPool;
use prost_types::method_options::IdempotencyLevel;

/// The shape of one method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// The caller sends a stream.
    pub client_streaming: bool,
    /// The answer is a stream.
    pub server_streaming: bool,
    /// Repeating a call does no harm, so that it may be tried again on another replica.
    pub repeatable: bool,
}

impl Method {
    /// What is assumed of a method that no descriptor describes.
    pub const UNKNOWN: Self = Self {
        client_streaming: false,
        server_streaming: false,
        repeatable: false,
    };

    /// One message there, one back.
    #[must_use]
    pub fn is_unary(self) -> bool {
        !self.client_streaming && !self.server_streaming
    }
}

static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
    let mut methods = HashMap::new();
    collect(&mut methods, &proto::DESCRIPTORS, |level| {
        level != IdempotencyLevel::IdempotencyUnknown
    });
    for set in [
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ] {
        // These only read, though their files do not say so.
        if let Ok(pool) = DescriptorPool::decode(set) {
            collect(&mut methods, &pool, |_| true);
        }
    }
    methods
});

fn collect(
    methods: &mut HashMap<String, Method>,
    pool: &DescriptorPool,
    repeatable: impl Fn(IdempotencyLevel) -> bool,
) {
    for service in pool.services() {
        for method in service.methods() {
            let level = method
                .method_descriptor_proto()
                .options
                .as_ref()
                .map_or(IdempotencyLevel::IdempotencyUnknown, |options| {
                    options.idempotency_level()
                });
            methods.insert(
                format!("/{}/{}", service.full_name(), method.name()),
                Method {
                    client_streaming: method.is_client_streaming(),
                    server_streaming: method.is_server_streaming(),
                    repeatable: repeatable(level),
                },
            );
        }
    }
}

/// Looks a method up by the path of its calls, such as "/civicmesh.feedback.v1.FeedbackService/GetFeedback".
#[must_use]
pub fn of(path: &str) -> Method {
    METHODS.get(path).copied().unwrap_or(Method::UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_from_the_contract() {
        let subscribe = of("/civicmesh.events.v1.EventFeedService/Subscribe");
        assert!(subscribe.server_streaming && !subscribe.client_streaming && subscribe.repeatable);
        let create = of("/civicmesh.events.v1.EventFeedService/ReplayParkedEvents");
        assert!(create.is_unary() && create.repeatable);
        assert!(of("/grpc.health.v1.Health/Watch").server_streaming);
        assert_eq!(of("/no.such/Method"), Method::UNKNOWN);
    }
}
