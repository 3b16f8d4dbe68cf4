//! Every method, every role, own and other unit.
