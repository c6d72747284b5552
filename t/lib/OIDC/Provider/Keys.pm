package OIDC::Provider::Keys;

# Keys, signatures and certificates by the openssl program. A key is made when its name is first used; the name says what it is:
# rs (RSA 2048; rs1024 is smaller), es256, es384, es512, ed; with any ending: rs2, es256_old.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256 hmac_sha384 hmac_sha512);
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);

my %curves = (es256 => ['P-256', 32], es384 => ['P-384', 48], es512 => ['P-521', 66]);
my %hmac = (HS256 => \&hmac_sha256, HS384 => \&hmac_sha384, HS512 => \&hmac_sha512);
my $json = JSON::PP->new->canonical->utf8->allow_nonref;

sub new { my ($class, $dir) = @_; return bless { dir => $dir }, $class }

# Runs openssl without a shell; what it complains about is shown only when it fails.
sub openssl {
    my (@arguments) = @_;
    my $pid = open(my $out, '-|') // die "fork: $!";
    if (!$pid) {
        open STDERR, '>', '/dev/null' unless $ENV{OIDC_DEBUG};
        open STDIN, '<', '/dev/null';
        exec 'openssl', @arguments or POSIX::_exit(127);
    }
    binmode $out;
    my $result = do { local $/; <$out> } // '';
    close $out or die "openssl @arguments failed\n";
    return $result;
}

sub save {
    my ($self, $name, $bytes) = @_;
    my $path = "$self->{dir}/$name";
    open my $file, '>:raw', $path or die "cannot write $path: $!";
    print $file $bytes;
    close $file;
    return $path;
}

# The file of a private key.
sub private {
    my ($self, $name) = @_;
    my $path = "$self->{dir}/$name.key";
    return $path if -s $path;
    my ($curve) = $name =~ /^(es\d\d\d)/;
    my @type = $curve ? ('EC', '-pkeyopt', "ec_paramgen_curve:$curves{$curve}[0]")
        : $name =~ /^ed/ ? ('ED25519') : ('RSA', '-pkeyopt', 'rsa_keygen_bits:' . ($name =~ /^rs1024/ ? 1024 : 2048));
    openssl('genpkey', '-algorithm', @type, '-out', $path);
    return $path;
}

sub public_pem { my ($self, $name) = @_; return openssl('pkey', '-in', $self->private($name), '-pubout') }

# One element of DER: its content and what follows it.
sub der {
    my ($bytes) = @_;
    my ($at, $length) = (2, ord substr $bytes, 1, 1);
    if ($length & 0x80) {
        my $count = $length & 0x7f;
        $length = 0;
        $length = $length * 256 + ord substr $bytes, $at++, 1 for 1 .. $count;
    }
    return (substr($bytes, $at, $length), substr($bytes, $at + $length));
}

sub integer { my ($bytes) = der(@_); return $bytes =~ s/^\0+//r }

# The public key as a JWK; `kid` is the name.
sub jwk {
    my ($self, $name) = @_;
    return $self->{jwk}{$name} //= do {
        my $spki = openssl('pkey', '-in', $self->private($name), '-pubout', '-outform', 'DER');
        my %key = (kid => $name, use => 'sig');
        if ($name =~ /^(es\d\d\d)/) {
            my ($curve, $size) = @{ $curves{$1} };
            @key{qw(kty crv x y)} = ('EC', $curve, map { encode_base64url($_) } substr($spki, -2 * $size, $size), substr($spki, -$size));
        }
        elsif ($name =~ /^ed/) { @key{qw(kty crv x)} = ('OKP', 'Ed25519', encode_base64url(substr $spki, -32)) }
        else {
            my ($inside) = der($spki);
            my (undef, $rest) = der($inside);
            my ($bits) = der($rest);
            my ($pair) = der(substr $bits, 1);
            my (undef, $exponent) = der($pair);
            @key{qw(kty n e)} = ('RSA', map { encode_base64url(integer($_)) } $pair, $exponent);
        }
        \%key;
    };
}

sub default_key {
    my ($alg) = @_;
    return $alg =~ /^ES(\d+)/ ? "es$1" : $alg eq 'EdDSA' ? 'ed' : 'rs';
}

# ECDSA signatures are two numbers in DER; JWS wants them side by side (RFC 7518 3.4).
sub raw_ecdsa {
    my ($der, $size) = @_;
    my ($pair) = der($der);
    my (undef, $second) = der($pair);
    return join '', map { substr(("\0" x $size) . integer($_), -$size) } $pair, $second;
}

sub signature {
    my ($self, $alg, $key, $text) = @_;
    my $file = $self->save("signed.$$", $text);
    return openssl('pkeyutl', '-sign', '-rawin', '-inkey', $self->private($key), '-in', $file) if $alg eq 'EdDSA';
    my ($bits) = $alg =~ /(\d+)$/ or die "cannot sign with $alg\n";
    my @padding = $alg =~ /^PS/ ? qw(-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest) : ();
    my $signature = openssl('dgst', "-sha$bits", @padding, '-sign', $self->private($key), $file);
    return $alg =~ /^ES/ ? raw_ecdsa($signature, $curves{ $key =~ /^(es\d\d\d)/ ? $1 : lc $alg }[1]) : $signature;
}

# Whether a client's assertion verifies under a PEM public key in a file.
sub verifies {
    my ($self, $alg, $public, $text, $signature) = @_;
    return 0 unless $alg =~ /^(RS|PS)(\d+)$/;
    my @padding = $1 eq 'PS' ? qw(-sigopt rsa_padding_mode:pss) : ();
    my ($data, $mark) = ($self->save("signed.$$", $text), $self->save("signature.$$", $signature));
    return eval { openssl('dgst', "-sha$2", @padding, '-verify', $public, '-signature', $mark, $data); 1 };
}

# ---- documents and tokens that lie ----------------------------------------------------------------------------------

# A JSON object. `set` replaces or adds members (undef removes), `drop` removes, `json` sets members to literal JSON text (1e999, null),
# `append` is literal text before the closing brace (a member twice), `text` is the whole.
sub document {
    my ($members, %change) = @_;
    return $change{text} if defined $change{text};
    my %all = (%$members, %{ $change{set} || {} });
    delete @all{ @{ $change{drop} || [] }, grep { !defined $all{$_} } keys %all };
    my %literal = ((map { $_ => $json->encode($all{$_}) } keys %all), %{ $change{json} || {} });
    my @parts = map { $json->encode($_) . ":$literal{$_}" } sort keys %literal;
    return '{' . join(',', @parts, defined $change{append} ? $change{append} : ()) . '}';
}

my %mangled = (
    pad_header    => sub { s/\./=./ },
    pad_payload   => sub { s/\.(?=[^.]*$)/=./ },
    pad_signature => sub { s/$/==/ },
    blank         => sub { s/\./. / },
    newline       => sub { s/\z/\n/ },
    two_parts     => sub { s/\.[^.]*$// },
    four_parts    => sub { s/\z/.AAAA/ },
    five_parts    => sub { s/\z/.AAAA.AAAA/ },
    # The last character of an RS256 signature carries four bits that mean nothing: a strict reader wants them to be 0.
    unused_bits  => sub { substr($_, -1) =~ tr/AQgw/BRhx/ },
    std_alphabet => sub { s{([^.]*)$}{$1 =~ tr,-_,+/,r}e },
);

# A compact JWS. Members of %how are the knobs of the same names: alg, key, header, header_json, header_append, header_text,
# payload, hmac (client_secret or public_key), signature (garbage, empty, der, other text), mangle.
sub token {
    my ($self, $payload, %how) = @_;
    my $alg = $how{alg} // 'RS256';
    my $key = $how{key} // default_key($alg);
    my %header = (alg => $alg, typ => 'JWT', $hmac{$alg} ? () : (kid => $key));
    my $head = document(\%header, set => $how{header}, json => $how{header_json}, append => $how{header_append}, text => $how{header_text});
    my $text = join '.', map { encode_base64url($_) } $head, $how{payload} // $payload;
    my $signature = $how{signature} // '';
    $signature = $signature eq 'garbage' ? "\1" x 256 : $signature eq 'empty' ? '' : length $signature ? $signature
        : $hmac{$alg} ? $hmac{$alg}->($text, $self->hmac_key(%how)) : $alg eq 'none' ? '' : $self->signature($alg, $key, $text);
    my $token = "$text." . encode_base64url($signature);
    if ($how{mangle}) {
        ($mangled{ $how{mangle} } || die "unknown mangle: $how{mangle}\n")->() for $token;
    }
    return $token;
}

sub hmac_key {
    my ($self, %how) = @_;
    my $kind = $how{hmac} // 'client_secret';
    return $how{client_secret} if $kind eq 'client_secret';
    return $self->public_pem('rs') if $kind eq 'public_key';
    return $kind;
}

# ---- certificates ---------------------------------------------------------------------------------------------------

# A certificate authority of one day and a server certificate for the loopback names: ca.pem, server.pem, server.key.
sub certificates {
    my ($self) = @_;
    my $dir = $self->{dir};
    return $dir if -s "$dir/server.pem";
    $self->save('san.conf', "subjectAltName=DNS:localhost,DNS:*.localhost,IP:127.0.0.1,DNS:app.test,DNS:*.app.test\n");
    my @new = qw(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes);
    openssl('req', '-x509', @new, '-keyout', "$dir/ca.key", '-out', "$dir/ca.pem", '-days', 2, '-subj', '/CN=Test CA');
    openssl('req', @new, '-keyout', "$dir/server.key", '-out', "$dir/server.csr", '-subj', '/CN=localhost');
    openssl('x509', '-req', '-in', "$dir/server.csr", '-CA', "$dir/ca.pem", '-CAkey', "$dir/ca.key", '-set_serial', int(rand 1e9),
        '-days', 2, '-extfile', "$dir/san.conf", '-out', "$dir/server.pem");
    return $dir;
}

# A list of revoked certificates by that authority: the server's own is in it, or none. Returns its file.
sub revocation_list {
    my ($self, $revoked) = @_;
    my $dir = $self->{dir};
    my $config = $self->save('list.conf', "[ca]\ndefault_ca=d\n[d]\ndatabase=$dir/list.index\ndefault_md=sha256\ncrlnumber=$dir/list.number\n");
    $self->save('list.index', '');
    $self->save('list.number', "01\n");
    my @ca = ('-config', $config, '-keyfile', "$dir/ca.key", '-cert', "$dir/ca.pem");
    openssl('ca', @ca, '-revoke', "$dir/server.pem") if $revoked;
    my $path = "$dir/" . ($revoked ? 'revoked' : 'empty') . '.crl';
    openssl('ca', @ca, qw(-gencrl -crldays 2 -out), $path);
    return $path;
}

1;
