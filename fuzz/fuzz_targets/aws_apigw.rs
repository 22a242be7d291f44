//! Any bytes as a record of the format `aws_apigw`.
#![no_main]

floodmark_fuzz::target!(AwsApigw);
