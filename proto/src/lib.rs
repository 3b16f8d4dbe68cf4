//! The contract of civicmesh: messages, clients and servers generated from the .proto files, and their descriptors.
#![expect(clippy::all, rustdoc::all, reason = "generated code")]

pub mod period;

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

/// The encoded `FileDescriptorSet` of the whole contract, options and comments included.
pub static DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

/// The contract's descriptors, decoded once.
pub static DESCRIPTORS: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(DESCRIPTOR_SET)
        .expect("the embedded descriptor set is what build.rs wrote")
});

/// `google.api`: the REST form of methods, and raw bodies.
pub mod google {
    pub mod api {
        tonic::include_proto!("google.api");
    }
}

macro_rules! packages {
    ($($name:ident),+) => {
        /// The packages, nested as in the contract so that they find each other.
        mod civicmesh {
            $(
                #[doc = concat!("Package `civicmesh.", stringify!($name), ".v1`.")]
                pub mod $name {
                    pub mod v1 {
                        include!(concat!(env!("OUT_DIR"), "/civicmesh.", stringify!($name), ".v1.rs"));
                    }
                }
            )+
        }
        pub use civicmesh::{$($name),+};
    };
}

packages!(
    calendar,
    events,
    explanations,
    feedback,
    forecasting,
    gateway,
    identity,
    indicators,
    notifications,
    options
);
