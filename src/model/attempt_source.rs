//! Where the attempt of a request was read, or, without one, its key.

use serde::Serialize;

macro_rules! sources {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal),* $(,)?) => {
        /// Where the attempt of a request was read, or, without one, its key. A bounded set: it is stored with every request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum AttemptSource { $($(#[doc = $doc])* $variant),* }

        impl AttemptSource {
            /// Every source.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The contract's spelling.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

sources! {
    /// A field of the log that holds the attempt.
    Field = "field",
    /// `x-stainless-retry-count`, from 0.
    StainlessRetryCount = "stainless_retry_count",
    /// `Retry-Attempt`, from 1 at the first repeat.
    RetryAttempt = "retry_attempt",
    /// `amz-sdk-request: attempt=2; max=3`.
    AmzSdkRequest = "amz_sdk_request",
    /// `x-goog-api-client: … gccl-attempt-count/2`.
    GcclAttemptCount = "gccl_attempt_count",
    /// `grpc-previous-rpc-attempts`, from 1 at the first repeat.
    GrpcPreviousRpcAttempts = "grpc_previous_rpc_attempts",
    /// OpenTelemetry's `http.request.resend_count`, from 1 at the first repeat.
    ResendCount = "resend_count",
    /// `x-envoy-attempt-count`, which the proxy of the caller sets.
    EnvoyAttemptCount = "envoy_attempt_count",
    /// No attempt; a field of the log that holds the key.
    RequestKey = "request_key",
    /// No attempt; `Idempotency-Key`.
    IdempotencyKey = "idempotency_key",
    /// No attempt; `amz-sdk-invocation-id`.
    AmzSdkInvocationId = "amz_sdk_invocation_id",
    /// No attempt; `x-ms-client-request-id`.
    MsClientRequestId = "ms_client_request_id",
}

impl AttemptSource {
    /// The source of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|source| source.as_str() == name)
    }
}
