"""The provider `vagrant`: nodes are virtual machines of lab/Vagrantfile."""
