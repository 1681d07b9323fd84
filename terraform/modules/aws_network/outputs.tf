output "vpc_id" {
  description = "Id of the network."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "Address range of the network."
  value       = aws_vpc.this.cidr_block
}

output "private_subnet_ids" {
  description = "Private subnets, one an availability zone."
  value       = [for zone in var.zones : aws_subnet.private[zone].id]
}

output "s3_prefix_list_id" {
  description = "Addresses of S3, for the rules of security groups."
  value       = aws_vpc_endpoint.s3.prefix_list_id
}
