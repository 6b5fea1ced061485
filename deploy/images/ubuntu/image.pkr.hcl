# An Ubuntu image with a DCV console session for greenroom. From this directory, after make agents:
#   packer init . && packer build -var region=eu-central-1 -var dcv_url=… -var dcv_sha256=… .

packer {
  required_version = ">= 1.10.0"
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3.0"
    }
  }
}

variable "region" {
  type        = string
  description = "Where the image is made."
}

variable "instance_type" {
  type        = string
  default     = "t3.large"
  description = "Without a GPU: the console session is drawn by Xdcv."
}

variable "dcv_url" {
  type        = string
  description = "The DCV server's archive for Ubuntu 22.04, one version, as Amazon's download page names it."
}

variable "dcv_sha256" {
  type        = string
  description = "Its SHA-256, from the same page."
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.dcv_sha256))
    error_message = "The checksum must be 64 hexadecimal digits in small letters."
  }
}

variable "key_url" {
  type        = string
  default     = "https://d1uj6qtbmh3dt5.cloudfront.net/NICE-GPG-KEY"
  description = "The key that DCV's packages are signed with."
}

variable "agent" {
  type        = string
  default     = "../../../bin/agents/greenroom-agent-linux-amd64"
  description = "The agent, as make agents builds it."
}

variable "user" {
  type        = string
  default     = "participant"
  description = "Whose session it is; the same as user in the blueprint."
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "ubuntu" {
  region        = var.region
  instance_type = var.instance_type
  ami_name      = "greenroom-ubuntu-${local.stamp}"
  ssh_username  = "ubuntu"
  encrypt_boot  = true

  source_ami_filter {
    filters = {
      name                = "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["099720109477"] # Canonical
    most_recent = true
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  imds_support = "v2.0"

  tags = {
    Name = "greenroom desktop (Ubuntu)"
  }
}

build {
  sources = ["source.amazon-ebs.ubuntu"]

  provisioner "file" {
    source      = var.agent
    destination = "/tmp/greenroom-agent"
  }

  provisioner "file" {
    source      = "../hooks/linux"
    destination = "/tmp/greenroom-hooks"
  }

  provisioner "shell" {
    script          = "install.sh"
    execute_command = "sudo env {{ .Vars }} bash '{{ .Path }}'"
    environment_vars = [
      "DCV_URL=${var.dcv_url}",
      "DCV_SHA256=${var.dcv_sha256}",
      "KEY_URL=${var.key_url}",
      "DESKTOP_USER=${var.user}",
    ]
  }
}
