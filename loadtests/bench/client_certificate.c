/* h2load cannot show a certificate: preloaded, this has each of its TLS contexts show one.
   Built and used by grpc_calls.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

int SSL_CTX_use_certificate_chain_file(void *context, const char *file);
int SSL_CTX_use_PrivateKey_file(void *context, const char *file, int type);

void *SSL_CTX_new(const void *method) {
    void *(*made)(const void *) = (void *(*)(const void *))dlsym(RTLD_NEXT, "SSL_CTX_new");
    void *context = made(method);
    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, getenv("CLIENT_CERTIFICATE")) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, getenv("CLIENT_KEY"), 1 /* PEM */) != 1)
        abort();
    return context;
}
