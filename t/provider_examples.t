# The examples for well-known providers are configurations that load as they are; only the certificate's files and the port are put in.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $op = OIDC::Provider->new(tls => 0);
my $dir = "$FindBin::Bin/../conf-examples/providers";
my @examples = sort glob "$dir/*.conf";
cmp_ok scalar @examples, '>=', 9, 'the providers that people use have an example';

for my $path (@examples) {
    my ($name) = $path =~ m{([^/]+)\.conf$};
    my $text = OIDC::Nginx::slurp($path);
    $text =~ s/ssl_certificate .*?ssl_certificate_key [^;]*;/$op->certificate/se or fail "$name: has a certificate";
    $text =~ s/listen( +)443/listen${1}127.0.0.1:%%PORT_example%%/ or fail "$name: listens";
    # The guides name a resolver, which is accepted and not needed.
    for my $resolver ('', 'resolver 127.0.0.1 valid=300s;') {
        my $with = $resolver ? 'with a resolver' : 'as it is';
        is conf_error("$resolver\n$text"), undef, "$name: loads $with";
        is_deeply [grep { /auth_oidc|oidc_/ } conf_warnings("$resolver\n$text")], [], "$name: no warning of ours $with";
    }
}
like conf_error(OIDC::Nginx::slurp("$dir/okta.conf") =~ s/issuer .*?;//r =~ s/listen( +)443 ssl/listen${1}127.0.0.1:%%PORT_example%%/r =~ s/ssl_certificate.*?;//gr),
    qr/"issuer" is missing/, 'a broken example would be seen';

done_testing;
