# A Windows Server image with a DCV console session for greenroom. From this directory, after make agents:
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
  type    = string
  default = "t3.xlarge"
}

variable "dcv_url" {
  type        = string
  description = "The DCV server's installer (MSI) for 64-bit Windows, one version, as Amazon's download page names it."
}

variable "dcv_sha256" {
  type        = string
  description = "Its SHA-256, from the same page."
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.dcv_sha256))
    error_message = "The checksum must be 64 hexadecimal digits in small letters."
  }
}

variable "agent" {
  type        = string
  default     = "../../../bin/agents/greenroom-agent-windows-amd64.exe"
  description = "The agent, as make agents builds it."
}

variable "user" {
  type        = string
  default     = "participant"
  description = "Whose session it is; the same as user in the blueprint."
}

variable "kiosk" {
  type        = bool
  default     = false
  description = "The meeting's page takes the place of the Windows shell: the participant sees nothing else."
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "windows" {
  region         = var.region
  instance_type  = var.instance_type
  ami_name       = "greenroom-windows-${local.stamp}"
  communicator   = "winrm"
  winrm_username = "Administrator"
  winrm_use_ssl  = true
  winrm_insecure = true # the certificate is made on the machine a minute before
  user_data_file = "winrm.ps1"
  encrypt_boot   = true

  source_ami_filter {
    filters = {
      name                = "Windows_Server-2022-English-Full-Base-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["amazon"]
    most_recent = true
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  imds_support = "v2.0"

  tags = {
    Name = "greenroom desktop (Windows)"
  }
}

build {
  sources = ["source.amazon-ebs.windows"]

  provisioner "powershell" {
    inline = ["New-Item -ItemType Directory -Force C:\\ProgramData\\greenroom, 'C:\\Program Files\\greenroom' | Out-Null"]
  }

  provisioner "file" {
    source      = var.agent
    destination = "C:\\Program Files\\greenroom\\greenroom-agent.exe"
  }

  provisioner "file" {
    source      = "../hooks/windows/"
    destination = "C:\\ProgramData\\greenroom\\"
  }

  provisioner "powershell" {
    script = "install.ps1"
    environment_vars = [
      "DCV_URL=${var.dcv_url}",
      "DCV_SHA256=${var.dcv_sha256}",
      "DESKTOP_USER=${var.user}",
      "KIOSK=${var.kiosk}",
    ]
  }

  provisioner "powershell" {
    inline = [
      "& 'C:\\Program Files\\Amazon\\EC2Launch\\EC2Launch.exe' reset --block",
      "& 'C:\\Program Files\\Amazon\\EC2Launch\\EC2Launch.exe' sysprep --shutdown --block",
    ]
  }
}
